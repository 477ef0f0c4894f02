// The demo with a failure: live while it runs, and every view of it once it is over.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { launch, NARROW, open, shot, sound, WIDE } from "./support/browser.mjs";
import { demo } from "./support/server.mjs";

const allowed = [];

let browser;
let server;
let deployment;

const at = (path) => `${server.url}#/${path}`;
const look = (path = "", options = {}) => open(browser, at(path), { allowed, ...options });

before(async () => {
  browser = await launch();
  server = await demo("--fail", "payment-service", "--speed", process.env.DEMO_SPEED ?? "30");
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

test("the run is shown live, with its failure and the way back", async () => {
  const { page, close } = await look();
  await page.getByRole("link", { name: /customer-a/ }).waitFor();
  await page.getByText("Live", { exact: true }).waitFor();
  await shot(page, "live-overview");
  // The second push is a deployment of its own; the row leads to the newest.
  await server.running.says(/push 2/);
  const link = page.getByRole("link", { name: /customer-a/ });
  const first = await link.getAttribute("href");
  await page.waitForFunction((old) => document.querySelector("#places a")?.getAttribute("href") !== old
    || document.querySelector("#places .badge")?.textContent === "rolling back", first);
  await link.click();
  await page.getByRole("tab", { name: "Graph" }).waitFor();
  await page.locator(".box[data-service='payment-service']").waitFor();
  await shot(page, "live-deployment");
  await page.locator(".box[data-service='payment-service'].tone-back").waitFor();
  await shot(page, "live-rollback");
  await page.locator(".head .badge", { hasText: "failed" }).waitFor();
  await page.getByText("payment-service failed").first().waitFor();
  deployment = page.url().split("#/")[1];
  await close();
});

describe("once it is over", () => {
  before(() => server.over());

  const views = [
    ["overview", "", "customer-a"],
    ["graph", "{}", "wave 3"],
    ["timeline", "{}/timeline", "The longest chain"],
    ["services", "{}/services", "rolled back"],
    ["plan", "{}/plan", "What is done"],
    ["journal", "{}/journal", "rolling back"],
    ["deployments", "deployments", "succeeded"],
    ["dependencies", "dependencies", "Every dependency"],
    ["health", "health", "Healthy"],
    ["rollbacks", "rollbacks", "What was taken back"],
    ["events", "events", "push to rtte/argocd-orchestrator"],
    ["audit", "audit", "trigger"],
  ];
  // Each view at both widths, and in both themes at each of them.
  for (const [name, path, text] of views) {
    for (const [size, viewport] of [["wide", WIDE], ["narrow", NARROW]]) {
      test(`${name} is sound at ${viewport.width} pixels, light and dark`, async () => {
        const { page, close } = await look(path.replace("{}", deployment), { viewport, motion: "reduce" });
        await page.getByText(text).first().waitFor({ state: "attached" });
        for (const scheme of ["light", "dark"]) {
          await page.emulateMedia({ colorScheme: scheme });
          await sound(page, `${name}-${size}-${scheme}`);
        }
        await close();
      });
    }
  }

  test("a service shows what became of it, its history and what it needs", async () => {
    const { page, close } = await look(deployment);
    await page.locator(".box[data-service='payment-service']").hover();
    const side = page.getByRole("complementary");
    await side.getByRole("heading", { name: "payment-service" }).waitFor();
    await side.getByText("History").waitFor();
    await side.getByText(/Needs \(/).waitFor();
    await side.getByText("customer-a-payment-service").waitFor();
    await shot(page, "service");
    await page.mouse.move(5, 5);
    await side.getByRole("heading", { name: "Services" }).waitFor();
    await close();
  });

  test("the graph is walked by keys, and only one of its services is a stop for Tab", async () => {
    const { page, close } = await look(deployment);
    await page.locator(".box").first().waitFor();
    assert.equal(await page.locator(".box[tabindex='0']").count(), 1);
    await page.locator(".box[tabindex='0']").focus();
    await page.keyboard.press("ArrowRight");
    const there = await page.evaluate(() => document.activeElement.dataset.service);
    assert.notEqual(there, "base");
    await page.getByRole("complementary").getByRole("heading", { name: there }).waitFor();
    await page.keyboard.press("ArrowDown");
    assert.notEqual(await page.evaluate(() => document.activeElement.dataset.service), there);
    await close();
  });

  test("everything is reached by keys, and where one is shows", async () => {
    const { page, close } = await look();
    await page.getByRole("link", { name: /customer-a/ }).waitFor();
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.id), "skip");
    await page.keyboard.press("Enter");
    assert.equal(await page.evaluate(() => document.activeElement.id), "main");
    for (let presses = 0; presses < 15; presses += 1) {
      await page.keyboard.press("Tab");
      const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
      assert.notEqual(outline, "none");
      if (await page.evaluate(() => document.activeElement.matches("#places a"))) break;
    }
    await page.keyboard.press("Enter");
    await page.getByRole("tab", { name: "Graph" }).waitFor();
    await page.getByRole("tab", { name: "Graph" }).focus();
    await page.keyboard.press("ArrowRight");
    await page.locator(".gantt").waitFor();
    assert.equal(await page.getByRole("tab", { name: "Timeline" }).getAttribute("aria-selected"), "true");
    await close();
  });

  test("search, filter and sort narrow the overview down", async () => {
    const { page, close } = await look();
    const row = page.getByRole("link", { name: /customer-a/ });
    await row.waitFor();
    await page.getByRole("searchbox", { name: "Search" }).fill("nobody");
    await page.getByText("Nothing fits.").waitFor();
    await page.getByRole("button", { name: "Show all" }).click();
    await row.waitFor();
    await page.getByRole("button", { name: /1\s*failed/ }).click();
    await row.waitFor();
    await page.getByLabel("Sort by").selectOption("customer");
    await page.locator("th[aria-sort='ascending']", { hasText: "Customer" }).waitFor();
    await close();
  });

  test("colours are switched, and stay so", async () => {
    const { page, close } = await look();
    const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = await ground();
    const button = page.getByRole("button", { name: /^Colours/ });
    await button.click();
    await button.click();
    assert.notEqual(await ground(), light);
    await page.reload();
    await button.waitFor();
    assert.notEqual(await ground(), light);
    await close();
  });

  test("retry says what it will ask for; Escape leaves it", async () => {
    const { page, close } = await look(deployment);
    const retry = page.getByRole("button", { name: "Retry", exact: true });
    await retry.click();
    const dialog = page.getByRole("dialog", { name: /^Retry customer-a/ });
    await dialog.getByText("payment-service").waitFor();
    await dialog.getByText(/a new one of the same commit/).waitFor();
    await sound(page, "dialog-retry");
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "detached" });
    await close();
  });

  test("a service is checked from the dashboard", async () => {
    const { page, close } = await look("health");
    await page.getByRole("searchbox").fill("redis");
    await page.getByRole("button", { name: /^Check redis/ }).click();
    await page.locator(".notice", { hasText: "A fresh look at redis" }).waitFor();
    await close();
  });

  test("a connection that is lost shows, and comes back by itself", async () => {
    const { page, faults, close } = await look("", { allowed: [...allowed, "events/stream", "ERR_FAILED", "ERR_INTERNET_DISCONNECTED", "ERR_CONNECTION"] });
    await page.getByText("Live", { exact: true }).waitFor();
    await page.route("**/events/stream", (route) => route.abort());
    // A page that is left alone for long has its stream cut by whatever is between; here the page is told to try anew.
    await page.reload();
    await page.getByText("Connection lost, trying again").waitFor();
    await shot(page, "lost");
    await page.unroute("**/events/stream");
    await page.getByText("Live", { exact: true }).waitFor();
    assert.deepEqual(faults, []);
    await close();
  });

  test("what comes from outside stays text", async () => {
    const hostile = "<img src=x onerror=\"document.title='broken in'\">";
    const { page, close } = await look(deployment, { allowed: [...allowed, "404"] });
    await page.route("**/api/v1/deployments/*", async (route) => {
      const response = await route.fetch();
      const body = await response.json();
      body.requested_by = hostile;
      body.reason = hostile;
      body.services[1].service = hostile;
      await route.fulfill({ response, json: body });
    });
    await page.route("**/api/v1/customers*", async (route) => {
      const response = await route.fetch();
      const body = await response.json();
      body.items[0].latest.customer = hostile;
      body.items[0].latest.reason = hostile;
      await route.fulfill({ response, json: body });
    });
    await page.goto(at(`${deployment}/services`));
    await page.reload();
    await page.getByText(hostile).first().waitFor();
    assert.equal(await page.locator("main img, .tab img").count(), 0);
    await page.goto(at(""));
    await page.getByText(hostile).first().waitFor();
    assert.equal(await page.locator("main img").count(), 0);
    assert.doesNotMatch(await page.title(), /broken in/);
    await close();
  });
});
