// A server that wants a token and approvals: logging in, and each button with what it says and does.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessible, launch, NARROW, open, shot, sound } from "./support/browser.mjs";
import { demo, serve, token } from "./support/server.mjs";

/** Who has no token yet is told so. */
const allowed = ["401"];

let browser;
let examples;
let server;

before(async () => {
  browser = await launch();
  // Its repository is what is deployed here.
  examples = await demo("--speed", "400");
  await examples.over();
  server = await serve(`${examples.data}/repository`);
});

after(async () => {
  await browser?.close();
  await server?.stop();
  await examples?.stop();
});

/** A page of somebody who logged in with the token of a role. */
async function as(role, path = "", options = {}) {
  const opened = await open(browser, `${server.url}#/${path}`, { allowed, ...options });
  await opened.page.getByLabel("Token").fill(token(role));
  await opened.page.getByRole("button", { name: "Use this token" }).click();
  await opened.page.getByRole("navigation", { name: "Views" }).getByRole("link", { name: "Overview" }).waitFor();
  await opened.page.getByLabel("Token").waitFor({ state: "detached" });
  return opened;
}

/** Asks the API, as a role, without a page. */
async function ask(role, method, path, body) {
  const response = await fetch(`${server.url}api/v1${path}`, {
    method,
    headers: { authorization: `Bearer ${token(role)}`, "content-type": "application/json" },
    body: body && JSON.stringify(body),
  });
  assert.ok(response.ok, `${method} ${path}: ${response.status} ${await response.clone().text()}`);
  return response.json();
}

/** The deployment that wants an approval; a new one is asked for where none does. */
async function waiting() {
  const path = "/deployments?state=awaiting-approval";
  const { items } = await ask("viewer", "GET", path);
  if (items.length > 0) return items[0].id;
  await ask("operator", "POST", "/sync-waves/0/trigger", { customer: "customer-a", environment: "production", force: true });
  const deadline = Date.now() + 30_000;
  while (Date.now() < deadline) {
    const found = await ask("viewer", "GET", path);
    if (found.items.length > 0) return found.items[0].id;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`no deployment wants an approval: ${server.running.said.slice(-1000)}`);
}

/** Presses a button of a deployment, looks at what it says, and confirms or leaves it. */
async function press(page, name, { says, picture, confirm = true, reason } = {}) {
  await page.locator(".head").getByRole("button", { name, exact: true }).click();
  const dialog = page.getByRole("dialog");
  await dialog.waitFor();
  if (says) await dialog.getByText(says).first().waitFor();
  if (reason) await dialog.getByRole("textbox").fill(reason);
  if (picture) {
    await accessible(page);
    await shot(page, picture);
  }
  if (confirm) await dialog.getByRole("button", { name, exact: true }).click();
  else await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
}

const state = (page, words) => page.locator(".head .badge", { hasText: words }).waitFor({ timeout: 30_000 });

test("without a token nothing is shown, and a wrong one is refused", async () => {
  for (const viewport of [undefined, NARROW]) {
    const { page, close } = await open(browser, server.url, { allowed, viewport });
    await page.getByRole("heading", { name: "Log in" }).waitFor();
    await page.getByLabel("Token").fill("a guess");
    await page.getByRole("button", { name: "Use this token" }).click();
    await page.getByText("The server does not know this token.").waitFor();
    await sound(page, viewport ? "login-narrow" : "login-wide");
    const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]));
    assert.doesNotMatch(kept, /a guess/);
    await close();
  }
});

test("a token is kept in the memory of the page alone", async () => {
  const { page, close } = await as("viewer");
  const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, location.href]));
  assert.doesNotMatch(kept, /token-of-the-browser/);
  await page.reload();
  await page.getByRole("heading", { name: "Log in" }).waitFor();
  await close();
});

test("who may not approve is told so in the dialog", async () => {
  const id = await waiting();
  const { page, close } = await as("viewer", `deployments/${id}`, { allowed: [...allowed, "403"] });
  await state(page, "awaiting approval");
  await page.getByRole("button", { name: "Approve", exact: true }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: "Approve", exact: true }).click();
  await dialog.getByText(/needs the role approver/).waitFor();
  await shot(page, "dialog-forbidden");
  await page.keyboard.press("Escape");
  await close();
});

test("approve, pause, resume and rollback say what they will do, and do it", async () => {
  const id = await waiting();
  const { page, close } = await as("admin", `deployments/${id}`);
  await state(page, "awaiting approval");
  await press(page, "Approve", { says: /services:/, picture: "dialog-approve" });
  await state(page, "running");
  await press(page, "Pause", { says: /Nothing new is started/, picture: "dialog-pause" });
  await state(page, "paused");
  await press(page, "Resume", { says: /Still to come/, picture: "dialog-resume" });
  await state(page, "running");
  await press(page, "Abort", { says: /everything is left as it is/, picture: "dialog-abort", confirm: false });
  await state(page, "running");
  await press(page, "Roll back", { says: /dependants first/, picture: "dialog-roll-back", reason: "<b>because</b> of a test" });
  await state(page, /rolling back|failed/);
  await state(page, "failed");
  await page.getByRole("tab", { name: "Journal" }).click();
  await page.getByText("<b>because</b> of a test").first().waitFor();
  assert.equal(await page.locator("main b").count(), 0);
  await close();
});

test("a service that failed is tried again, or done without", async () => {
  const id = await waiting();
  const { page, close } = await as("admin", `deployments/${id}`);
  await state(page, "awaiting approval");
  await press(page, "Approve");
  await state(page, "running");
  const box = page.locator(".box[data-service='cert-manager']");
  await page.locator(".box[data-service='cert-manager']:is(.tone-busy, .tone-proof)").waitFor({ timeout: 40_000 });
  // What is in flight goes on to its end, and this one never gets healthy.
  await press(page, "Pause");
  const side = page.getByRole("complementary");
  for (const [name, picture] of [["Retry cert-manager", "dialog-retry-service"], ["Skip cert-manager", "dialog-skip"]]) {
    await page.locator(".box[data-service='cert-manager'].tone-bad").waitFor({ timeout: 40_000 });
    await box.click();
    await side.getByRole("button", { name }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("heading", { name: `${name}?` }).waitFor();
    await accessible(page);
    await shot(page, picture);
    await dialog.getByRole("button", { name }).click();
    await dialog.waitFor({ state: "detached" });
    await page.locator(".notice", { hasText: name }).first().waitFor();
    if (name.startsWith("Retry")) {
      // While it is paused nothing starts, this one neither.
      await press(page, "Resume");
      await page.locator(".box[data-service='cert-manager']:is(.tone-busy, .tone-proof)").waitFor({ timeout: 40_000 });
      await press(page, "Pause");
    }
  }
  await press(page, "Abort", { reason: "the test is over" });
  await state(page, "aborted");
  await close();
});

test("reject and abort end a deployment, with a reason that is kept", async () => {
  const first = await waiting();
  const { page, close } = await as("admin", `deployments/${first}`);
  await press(page, "Reject", { says: /Nothing is deployed/, picture: "dialog-reject", reason: "not today" });
  await page.locator(".head .badge", { hasText: /aborted|rejected|failed/ }).waitFor();
  await page.getByText("not today").first().waitFor();
  const second = await waiting();
  await page.goto(`${server.url}#/deployments/${second}`);
  await state(page, "awaiting approval");
  await press(page, "Abort", { says: /left as it is/, reason: "changed my mind" });
  await state(page, "aborted");
  await close();
});

test("what would be taken back is told, and a service is taken back on its own", async () => {
  // The demo went well, so there is something to take back.
  const { page, close } = await open(browser, `${examples.url}#/rollbacks`);
  const row = page.getByRole("row", { name: /^storefront/ });
  await row.getByText(/it ran/).waitFor();
  await sound(page, "rollback-analysis");
  await row.getByRole("button", { name: "Roll back storefront" }).click();
  const dialog = page.getByRole("dialog", { name: "Roll back storefront?" });
  await dialog.getByText(/takes storefront .* back to what it last ran/).waitFor();
  await shot(page, "dialog-take-back");
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await dialog.waitFor({ state: "detached" });
  await row.getByRole("button", { name: "Roll back storefront" }).click();
  await dialog.getByRole("button", { name: "Roll back storefront" }).click();
  await dialog.waitFor({ state: "detached" });
  await page.locator(".notice", { hasText: "Asked for as" }).waitFor();
  await close();
});

test("a dead letter shows what is wrong with it, and is replayed by those who may", async () => {
  const hostile = "<img src=x onerror=alert(1)>";
  const sent = await fetch(`${server.url}api/v1/webhooks/argo-events`, {
    method: "POST",
    headers: { authorization: `Bearer ${token("sensor")}`, "content-type": "application/json" },
    body: JSON.stringify({ spec: { [hostile]: hostile }, payload: { push: { ref: hostile } } }),
  });
  assert.equal((await sent.json()).status, "dead-letter");
  const { page, close } = await as("admin", "events", { allowed: [...allowed, "422"] });
  await page.getByText(hostile).first().waitFor();
  assert.equal(await page.locator("main img").count(), 0);
  await page.getByText("What was sent").click();
  await sound(page, "dead-letter");
  await page.getByRole("button", { name: /^Replay/ }).click();
  const dialog = page.getByRole("dialog", { name: "Replay it?" });
  await dialog.getByRole("button", { name: "Replay", exact: true }).click();
  await dialog.getByText("it is as wrong as it was").waitFor();
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  await close();
  const viewer = await as("viewer", "events", { allowed: [...allowed, "403"] });
  await viewer.page.getByText(/They may be about anybody/).waitFor();
  await viewer.close();
});
