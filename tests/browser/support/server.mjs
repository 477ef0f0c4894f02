// The program that is tested, started as people start it.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const BINARY = process.env.ORCHESTRATOR_BINARY;
if (!BINARY) throw new Error("ORCHESTRATOR_BINARY is not set: run scripts/browser-tests.sh");

/** After so long something will not come about any more. Nothing waits for it to pass. */
export const PATIENCE = 120_000;

/**
 * Services that are quick, except for one that fails each time, and one that takes longer than any test: so a
 * deployment stays under way until a test ends it, however slow the machine is.
 */
const SERVICES = {
  default: { pickup: "10ms..50ms", sync: "200ms..500ms", healthy: "200ms..600ms", stale: "20ms..100ms" },
  services: { "cert-manager": { fail: { how: "degraded" } }, pushgateway: { healthy: "30m" } },
};

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
    over: () => running.says(/the page is served until Ctrl-C/),
    async stop() {
      await running.stop();
      await data.remove();
    },
  };
}

/** The token that the server of `serve` knows for a role. */
export const token = (role) => `${role}-token-of-the-browser-tests`;

/** A port that nobody has now, for a server that has to know its own address. */
export async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/**
 * `serve` on the repository of a demo: it wants approvals and tokens. `http` are further settings of it, `cluster` is
 * another one than the simulated; `kept` is the folder of a server that was there before.
 */
export async function serve(repository, { http = {}, cluster = { simulated: SERVICES }, port = 0, kept } = {}) {
  const data = await folder();
  const sha256 = (text) => createHash("sha256").update(text).digest("hex");
  const roles = ["viewer", "operator", "approver", "admin"];
  const config = {
    "data-dir": kept ?? join(data.path, "data"),
    grpc: { listen: "127.0.0.1:0" },
    http: {
      listen: `127.0.0.1:${port}`,
      tokens: roles.map((role) => ({ name: role, sha256: sha256(token(role)), roles: [{ role, customers: "all" }] })),
      webhooks: { "argo-events": [{ name: "sensor", sha256: sha256(token("sensor")) }] },
      ...http,
    },
    sources: [{ name: "examples", url: `file://${repository}`, repository: "rtte/argocd-orchestrator", "allow-file": true, targets: [{ ref: "refs/heads/main", environment: "production" }] }],
    approval: { environments: ["production"] },
    cluster,
    "sync-wave": { "degraded-grace": "200ms", "rollback-threshold": 1, "on-failure": "continue", "dependency-resolution": { "max-retries": 1, "retry-delay": "200ms" } },
  };
  const file = join(data.path, "config.json");
  await writeFile(file, JSON.stringify(config));
  const running = new Running(["--config", file, "serve"]);
  const [, address] = await running.says(/the HTTP interface is served.*?address=(127\.0\.0\.1:\d+)/);
  return {
    url: `http://${address}/`,
    running,
    data: join(data.path, "data"),
    async stop() {
      await running.stop();
      await data.remove();
    },
  };
}

/** Asks the API of a server, as a role, without a page. */
export async function ask(server, role, method, path, body) {
  const response = await fetch(`${server.url}api/v1${path}`, {
    method,
    headers: { authorization: `Bearer ${token(role)}`, "content-type": "application/json" },
    body: body && JSON.stringify(body),
  });
  assert.ok(response.ok, `${method} ${path}: ${response.status} ${await response.clone().text()}`);
  return response.json();
}

/** Asks until something is found. */
export async function until(what, look, patience = PATIENCE) {
  const deadline = Date.now() + patience;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`${what} did not come about in ${patience} ms`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** The deployment of a server that wants an approval; a new one is asked for where none does. */
export async function waiting(server) {
  const find = async () => (await ask(server, "viewer", "GET", "/deployments?state=awaiting-approval")).items[0]?.id;
  // What was just asked for is on its way.
  const [found, { items }] = [await find(), await ask(server, "viewer", "GET", "/deployments?finished=false")];
  if (found) return found;
  if (items.length === 0) await ask(server, "operator", "POST", "/sync-waves/0/trigger", { customer: "customer-a", environment: "production", force: true });
  return until("a deployment that wants an approval", find);
}
