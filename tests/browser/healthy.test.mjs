// A demo that went well: what can be taken back, where Argo CD shows things, and a ring in the values.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch, NARROW, open, sound } from "./support/browser.mjs";
import { demo, serve, token, until } from "./support/server.mjs";

let browser;
let server;
let newest;

const get = async (path) => (await fetch(`${server.url}api/v1${path}`)).json();

before(async () => {
  browser = await launch();
  server = await demo("--speed", "400");
  await server.over();
  newest = (await get("/deployments?limit=1")).items[0].id;
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

const look = (path, options) => open(browser, `${server.url}#/${path}`, options);

test("a service is taken back on its own, and it is told what that does", async () => {
  const { page, close } = await look("rollbacks");
  const row = page.getByRole("row", { name: /^storefront/ });
  await row.getByText(/it ran/).waitFor();
  await sound(page, "rollback-analysis");
  await row.getByRole("button", { name: "Roll back storefront" }).click();
  const dialog = page.getByRole("dialog", { name: "Roll back storefront?" });
  await dialog.getByText(/takes storefront .* back to what it last ran/).waitFor();
  await sound(page, "dialog-take-back");
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await dialog.waitFor({ state: "detached" });
  await row.getByRole("button", { name: "Roll back storefront" }).click();
  await dialog.getByRole("button", { name: "Roll back storefront" }).click();
  await dialog.waitFor({ state: "detached" });
  await page.locator(".notice", { hasText: "Rollback of storefront: asked for as" }).waitFor();
  await close();
  await until("the end of the rollback", async () => {
    const [last] = (await get("/deployments?limit=1")).items;
    return last.id !== newest && last.state === "succeeded";
  });
});

test("a wave is taken back as a whole, dependants first, from the newest deployment", async () => {
  // What ran before is behind a deployment of its own now; the older one offers nothing any more.
  const old = await look(`deployments/${newest}`);
  await old.page.locator(".box").first().waitFor();
  await old.page.locator(".backs:not(.offered)").waitFor({ state: "attached" });
  await old.close();

  const [{ id }] = (await get("/deployments?limit=1")).items;
  const { page, close } = await look(`deployments/${id}`);
  const button = page.getByRole("button", { name: "Roll back wave 3" });
  await button.waitFor();
  await sound(page, "wave-buttons");
  await button.focus();
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog", { name: "Roll back wave 3?" });
  await dialog.getByText(/takes wave 3 of customer-a production back/).waitFor();
  const services = await dialog.locator("ol.turns li strong").allInnerTexts();
  const { services: told } = await get("/rollback/preview?customer=customer-a&environment=production&wave=3");
  assert.deepEqual(services, told.filter((one) => one.turn !== null).map((one) => one.service));
  assert.ok(services.length > 5, `${services}`);
  // Who waits for another one goes back before it.
  assert.ok(services.indexOf("payment-service") < services.indexOf("notification-service"), `${services}`);
  await sound(page, "dialog-wave");
  await dialog.getByRole("button", { name: "Roll back wave 3" }).click();
  await dialog.waitFor({ state: "detached" });
  await page.locator(".notice", { hasText: "Rollback of wave 3: asked for as" }).waitFor();
  const done = await until("the rollback of the wave", async () => {
    const [last] = (await get("/deployments?limit=1")).items;
    return last.id !== id && last.state === "succeeded" && last;
  });
  // It did what was foreseen, and the page that is still open offers no wave of what is not the newest any more.
  const { services: states } = await get(`/deployments/${done.id}`);
  const back = states.filter((one) => one.state === "rolled-back").map((one) => one.service);
  assert.deepEqual(back.sort(), services.sort());
  await button.waitFor({ state: "hidden" });
  await close();
});

test("a ring in the values is drawn, and the deployment that was refused says where it is", async () => {
  const repository = join(server.data, "repository");
  const file = join(repository, "examples/helm-charts/customers/customer-a/values.yaml");
  const text = await readFile(file, "utf8");
  const broken = text.replace("dependencies: [minio, auth-service]", "dependencies: [minio, auth-service, profile-service]");
  assert.notEqual(broken, text);
  await writeFile(file, broken);
  const git = (...args) => execFileSync("git", ["-c", "user.name=test", "-c", "user.email=test@example.com", ...args], { cwd: repository, encoding: "utf8" });
  git("commit", "--all", "--quiet", "--message", "A ring");
  const revision = git("rev-parse", "HEAD").trim();
  const asked = await fetch(`${server.url}api/v1/deployments`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ customer: "customer-a", environment: "production" }),
  });
  assert.equal(asked.status, 202);
  const refused = await until("the refusal", async () => (await get("/deployments?limit=1&state=rejected")).items[0]);
  for (const [viewport, scheme] of [[undefined, "light"], [NARROW, "dark"]]) {
    const { page, close } = await look(`dependencies?customer=customer-a&environment=production&revision=${revision}`, { viewport, scheme });
    await page.getByRole("heading", { name: "A ring" }).waitFor();
    await page.getByText(/file-service → profile-service → file-service|profile-service → file-service → profile-service/).first().waitFor();
    for (const name of ["file-service", "profile-service"]) await page.locator(`.box.ring[data-service='${name}']`).waitFor();
    assert.equal(await page.locator(".box.ring").count(), 2);
    assert.ok(await page.locator(".line.against").count() >= 1);
    await page.locator(".box.ring").first().scrollIntoViewIfNeeded();
    await sound(page, `ring-${scheme}`);
    await page.goto(`${server.url}#/deployments/${refused.id}`);
    await page.locator(".head .badge", { hasText: "rejected" }).waitFor();
    await page.getByText(/file-service/).first().waitFor();
    await sound(page, `rejected-${scheme}`);
    await close();
  }
});

test("each service leads to where the configured Argo CD shows it", async () => {
  await server.running.stop();
  // Links need the address of Argo CD's page alone: the cluster itself answers nobody here.
  const kubeconfig = join(server.data, "kubeconfig.yaml");
  const named = (name, value) => [{ name: "nowhere", [name]: value }];
  await writeFile(kubeconfig, JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: named("cluster", { server: "http://127.0.0.1:9" }),
    users: named("user", {}),
    contexts: named("context", { cluster: "nowhere", user: "nowhere" }),
    "current-context": "nowhere",
  }));
  const argo = { url: "https://argocd.example.com/", kubeconfig };
  const linked = await serve(join(server.data, "repository"), { kept: server.data, cluster: { "argo-cd": argo } });
  try {
    const { page, close } = await open(browser, `${linked.url}#/deployments/${newest}`, { allowed: ["401"] });
    await page.getByLabel("Token").fill(token("viewer"));
    await page.getByRole("button", { name: "Use this token" }).click();
    const side = page.getByRole("complementary");
    for (const service of ["storefront", "base"]) {
      await page.locator(`.box[data-service='${service}']`).click();
      const link = side.getByRole("link", { name: `customer-a-${service}` });
      await link.waitFor();
      assert.equal(await link.getAttribute("href"), `https://argocd.example.com/applications/argocd/customer-a-${service}`);
      assert.equal(await link.getAttribute("rel"), "noopener noreferrer");
    }
    await sound(page, "argocd-link");
    // An address that is a script is not followed, wherever it came from.
    await page.route("**/api/v1/deployments/*/graph", async (route) => {
      const response = await route.fetch();
      const body = await response.json();
      for (const one of body.applications) one.link = "javascript:alert(1)";
      await route.fulfill({ response, json: body });
    });
    await page.getByRole("tab", { name: "Plan" }).click();
    await page.getByRole("tab", { name: "Graph" }).click();
    await page.locator(".box[data-service='redis']").click();
    await side.getByText("customer-a-redis").waitFor();
    assert.equal(await side.locator("a[href^='javascript']").count(), 0);
    await close();
  } finally {
    await linked.stop();
  }
});
