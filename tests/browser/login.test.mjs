// People who log in by the login of their organisation: there and back, what they may do, and out again.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, NARROW, open, shot, sound } from "./support/browser.mjs";
import { AUDIENCE, CLIENT, provider } from "./support/provider.mjs";
import { demo, freePort, serve, token, waiting } from "./support/server.mjs";

let browser;
let examples;
let login;
let server;

before(async () => {
  browser = await launch();
  login = await provider();
  examples = await demo("--speed", "400");
  await examples.over();
  const port = await freePort();
  const oidc = {
    issuer: login.issuer,
    audience: AUDIENCE,
    groups: [
      { name: "platform", roles: [{ role: "admin", customers: "all" }] },
      { name: "watchers", roles: [{ role: "viewer", customers: ["customer-a"] }] },
    ],
    login: { "public-url": `http://127.0.0.1:${port}`, "client-id": CLIENT, scopes: ["openid"] },
  };
  server = await serve(`${examples.data}/repository`, { port, http: { oidc } });
});

after(async () => {
  await browser?.close();
  await server?.stop();
  await login?.stop();
  await examples?.stop();
});

/** A page, and the provider's page in it. */
async function asked(path = "", options = {}) {
  const opened = await open(browser, `${server.url}#/${path}`, { allowed: ["401"], elsewhere: [login.issuer], ...options });
  const { page } = opened;
  await page.getByRole("heading", { name: "Log in" }).waitFor();
  await page.getByRole("link", { name: "Log in with your organisation" }).click();
  await page.getByRole("heading", { name: "The provider" }).waitFor();
  return opened;
}

/** A page of somebody who is logged in. */
async function as(who, path, options) {
  const opened = await asked(path, options);
  await opened.page.getByRole("link", { name: `Log in as ${who}` }).click();
  await opened.page.getByRole("button", { name: "Log out" }).waitFor();
  return opened;
}

test("a login leads back to where it began, is shown, and ends with Log out", async () => {
  const { page, close } = await as("anna", "audit");
  await page.getByRole("heading", { name: "Audit" }).waitFor();
  assert.equal(new URL(page.url()).hash, "#/audit");
  await page.locator("#who").getByText("anna").waitFor();
  await page.getByText("Live", { exact: true }).waitFor();
  await sound(page, "login-session");
  // No script can read the cookie, and nothing of it is kept elsewhere.
  const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]));
  assert.doesNotMatch(kept, /orchestrator[^-]/);
  await page.reload();
  await page.locator("#who").getByText("anna").waitFor();
  await page.getByRole("button", { name: "Log out" }).click();
  await page.getByRole("heading", { name: "Log in" }).waitFor();
  await page.reload();
  await page.getByRole("heading", { name: "Log in" }).waitFor();
  assert.equal(await page.getByRole("button", { name: "Log out" }).count(), 0);
  await close();
});

test("where nothing was deployed yet, each view says so, and what is not there is told", async () => {
  const { page, close } = await as("anna", "", { allowed: ["401", "404"] });
  for (const [path, heading, text] of [
    ["", "Overview", "The first push shows up here by itself."],
    ["dependencies", "Dependencies", "Nothing was deployed yet."],
    ["health", "Health", "Nothing was deployed yet."],
    ["rollbacks", "Rollbacks", "Nothing was deployed yet."],
    ["events", "Events", "Nothing arrived yet."],
    ["deployments", "Deployments", "Nothing was deployed yet."],
    ["deployments/d-nothing", "Deployment", "there is no such deployment"],
  ]) {
    await page.goto(`${server.url}#/${path}`);
    await page.getByRole("heading", { name: heading, exact: true, level: 1 }).waitFor();
    await page.getByText(text).first().waitFor();
    await sound(page, `empty-${heading.toLowerCase()}`);
  }
  await close();
});

test("what is asked for with a login is taken, and has the name of who asked", async () => {
  const id = await waiting(server);
  const { page, close } = await as("anna", `deployments/${id}`);
  await page.locator(".head").getByRole("button", { name: "Reject", exact: true }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("textbox").fill("for a test of logins");
  await dialog.getByRole("button", { name: "Reject", exact: true }).click();
  await dialog.waitFor({ state: "detached" });
  await page.getByText("refused by anna: for a test of logins").first().waitFor();
  await close();
});

test("who asked for a deployment is not offered to approve it", async () => {
  const { page, close } = await as("anna");
  const csrf = await page.evaluate(async () => (await (await fetch("/api/v1/me")).json()).csrf);
  const status = await page.evaluate(async (proof) => (await fetch("/api/v1/sync-waves/0/trigger", {
    method: "POST",
    headers: { "content-type": "application/json", "x-csrf-token": proof },
    body: JSON.stringify({ customer: "customer-a", environment: "production", force: true }),
  })).status, csrf);
  assert.equal(status, 202);
  const id = await waiting(server);
  await page.goto(`${server.url}#/deployments/${id}`);
  await page.getByText("You cannot approve it: who asked for a deployment cannot approve it.").waitFor();
  assert.equal(await page.getByRole("button", { name: "Approve", exact: true }).count(), 0);
  await sound(page, "own-deployment");
  await page.getByRole("button", { name: "Reject", exact: true }).waitFor();
  await close();
});

test("a viewer sees no buttons of others, but what they would need", async () => {
  const id = await waiting(server);
  const { page, close } = await as("victor", `deployments/${id}`);
  await page.locator(".head .badge", { hasText: "awaiting approval" }).waitFor();
  await page.getByText("Approve and Reject need the role approver for customer-a. Abort needs the role operator for customer-a.").waitFor();
  assert.equal(await page.locator(".head").getByRole("button").count(), 0);
  await sound(page, "viewer");
  await close();
});

test("a login that the provider refuses is told on the page, and nobody is in", async () => {
  for (const viewport of [undefined, NARROW]) {
    const { page, close } = await asked("health", { viewport });
    await page.getByRole("link", { name: "Do not log in" }).click();
    await page.getByRole("heading", { name: "Log in" }).waitFor();
    await page.getByRole("alert").getByText(/The login was refused/).waitFor();
    await sound(page, viewport ? "login-refused-narrow" : "login-refused");
    // A token still does.
    await page.getByLabel("Token").fill(token("viewer"));
    await page.getByRole("button", { name: "Use this token" }).click();
    await page.getByRole("heading", { name: "Overview" }).waitFor();
    await close();
  }
});

test("an answer to a login that nobody began is worth nothing", async () => {
  const { page, close } = await open(browser, server.url, { allowed: ["401"] });
  await page.goto(`${server.url}auth/callback?code=guessed&state=guessed`);
  await page.getByRole("alert").getByText(/The login was refused/).waitFor();
  await close();
});

test("who has no role is told so instead of being shown nothing", async () => {
  const { page, close } = await as("nobody");
  await page.getByText("You are logged in as nobody, but no group of yours has a role here.").waitFor();
  await shot(page, "no-role");
  await page.getByRole("button", { name: "Log out" }).click();
  await page.getByRole("heading", { name: "Log in" }).waitFor();
  await close();
});
