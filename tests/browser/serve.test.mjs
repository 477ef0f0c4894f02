// A server that wants a token and approvals: logging in, and each button with what it says and does.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessible, launch, NARROW, open, shot, sound } from "./support/browser.mjs";
import { demo, serve, token, waiting } from "./support/server.mjs";

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

const state = (page, words) => page.locator(".head .badge", { hasText: words }).waitFor();

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

test("what somebody may not do is not offered, and what it needs is told", async () => {
  const id = await waiting(server);
  for (const [role, offered, told] of [
    ["viewer", [], /Approve and Reject need the role approver for customer-a\. Abort needs the role operator for customer-a\./],
    ["operator", ["Abort"], /Approve and Reject need the role approver for customer-a\./],
    ["approver", ["Approve", "Reject"], /Abort needs the role operator for customer-a\./],
    ["admin", ["Approve", "Reject", "Abort"], null],
  ]) {
    const { page, close } = await as(role, `deployments/${id}`);
    await state(page, "awaiting approval");
    if (told) await page.locator(".rights", { hasText: told }).waitFor();
    else assert.equal(await page.locator(".rights").count(), 0);
    assert.deepEqual(await page.locator(".head").getByRole("button").allInnerTexts(), offered, role);
    await close();
  }
});

test("approve, pause, resume and rollback say what they will do, and do it", async () => {
  const id = await waiting(server);
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
  const id = await waiting(server);
  const { page, close } = await as("admin", `deployments/${id}`);
  await state(page, "awaiting approval");
  await press(page, "Approve");
  await state(page, "running");
  const box = page.locator(".box[data-service='cert-manager']");
  await page.locator(".box[data-service='cert-manager']:is(.tone-busy, .tone-proof)").waitFor();
  // What is in flight goes on to its end, and this one never gets healthy.
  await press(page, "Pause");
  const side = page.getByRole("complementary");
  for (const [name, picture] of [["Retry cert-manager", "dialog-retry-service"], ["Skip cert-manager", "dialog-skip"]]) {
    await page.locator(".box[data-service='cert-manager'].tone-bad").waitFor();
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
      await page.locator(".box[data-service='cert-manager']:is(.tone-busy, .tone-proof)").waitFor();
      await press(page, "Pause");
    }
  }
  await press(page, "Abort", { reason: "the test is over" });
  await state(page, "aborted");
  await close();
});

test("reject and abort end a deployment, with a reason that is kept", async () => {
  const first = await waiting(server);
  const { page, close } = await as("admin", `deployments/${first}`);
  await press(page, "Reject", { says: /Nothing is deployed/, picture: "dialog-reject", reason: "not today" });
  await page.locator(".head .badge", { hasText: /aborted|rejected|failed/ }).waitFor();
  await page.getByText("not today").first().waitFor();
  const second = await waiting(server);
  await page.goto(`${server.url}#/deployments/${second}`);
  await state(page, "awaiting approval");
  await press(page, "Abort", { says: /left as it is/, reason: "changed my mind" });
  await state(page, "aborted");
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
  const viewer = await as("viewer", "events");
  await viewer.page.getByText(/They may be about anybody: reading them needs the role operator for all customers/).waitFor();
  await viewer.close();
  const operator = await as("operator", "events");
  await operator.page.getByText("Replaying it needs the role admin for all customers.").waitFor();
  assert.equal(await operator.page.getByRole("button", { name: /^Replay/ }).count(), 0);
  await operator.close();
});
