// The program that is tested, started as people start it.

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const BINARY = process.env.ORCHESTRATOR_BINARY;
if (!BINARY) throw new Error("ORCHESTRATOR_BINARY is not set: run scripts/browser-tests.sh");

const PATIENCE = 60_000;

/** A program that runs, with all that it said. */
class Running {
  constructor(args) {
    this.said = "";
    this.waiters = new Set();
    this.child = spawn(BINARY, args, { stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream.setEncoding("utf8");
      stream.on("data", (text) => {
        this.said += text;
        for (const waiter of [...this.waiters]) waiter();
      });
    }
    this.ended = new Promise((resolve) => this.child.on("exit", resolve));
  }

  /** Waits until it said something, and gives what matched. */
  says(pattern, patience = PATIENCE) {
    return new Promise((resolve, reject) => {
      const look = () => {
        const found = pattern.exec(this.said);
        if (!found) return;
        done();
        resolve(found);
      };
      const timer = setTimeout(() => {
        done();
        reject(new Error(`it did not say ${pattern}, but: ${this.said.slice(-2000)}`));
      }, patience);
      const done = () => {
        clearTimeout(timer);
        this.waiters.delete(look);
      };
      this.waiters.add(look);
      look();
    });
  }

  async stop() {
    this.child.kill("SIGINT");
    const killed = setTimeout(() => this.child.kill("SIGKILL"), 10_000);
    await this.ended;
    clearTimeout(killed);
  }
}

/** A folder that goes when the tests are over. */
export async function folder() {
  const path = await mkdtemp(join(tmpdir(), "browser-tests-"));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

/** The demo, with its page at `url`. */
export async function demo(...args) {
  const data = await folder();
  const running = new Running(["--data-dir", data.path, "demo", "--keep", "--listen-http", "127.0.0.1:0", ...args]);
  const [, url] = await running.says(/the page is at (http:\S+)/);
  return {
    url,
    running,
    data: data.path,
    over: () => running.says(/the page is served until Ctrl-C/, 120_000),
    async stop() {
      await running.stop();
      await data.remove();
    },
  };
}

/** The token that the server of `serve` knows for a role. */
export const token = (role) => `${role}-token-of-the-browser-tests`;

/** `serve` on the repository of a demo: it wants approvals and tokens, and its cluster takes its time. */
export async function serve(repository, { speed = 4 } = {}) {
  const data = await folder();
  const sha256 = (text) => createHash("sha256").update(text).digest("hex");
  const roles = ["viewer", "operator", "approver", "admin"];
  const config = {
    "data-dir": join(data.path, "data"),
    grpc: { listen: "127.0.0.1:0" },
    http: {
      listen: "127.0.0.1:0",
      tokens: roles.map((role) => ({ name: role, sha256: sha256(token(role)), roles: [{ role, customers: "all" }] })),
      webhooks: { "argo-events": [{ name: "sensor", sha256: sha256(token("sensor")) }] },
    },
    sources: [{ name: "examples", url: `file://${repository}`, repository: "rtte/argocd-orchestrator", "allow-file": true, targets: [{ ref: "refs/heads/main", environment: "production" }] }],
    approval: { environments: ["production"] },
    cluster: { simulated: { speed, services: { "cert-manager": { fail: { how: "degraded" } } } } },
    "sync-wave": { "degraded-grace": "200ms", "rollback-threshold": 1, "on-failure": "continue" },
  };
  const file = join(data.path, "config.json");
  await writeFile(file, JSON.stringify(config));
  const running = new Running(["--config", file, "serve"]);
  const [, address] = await running.says(/the HTTP interface is served.*?address=(127\.0\.0\.1:\d+)/);
  return {
    url: `http://${address}/`,
    running,
    async stop() {
      await running.stop();
      await data.remove();
    },
  };
}
