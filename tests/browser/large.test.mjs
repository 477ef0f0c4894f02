// The page with 1,000 customers of 55 services: how long its first picture, a letter in the search and a burst of
// events take. The figures are printed; what fails is only what nobody would call usable.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { launch, NARROW, open, sound } from "./support/browser.mjs";
import { ask, demo, serve, token } from "./support/server.mjs";

const CUSTOMERS = 1000;
const BURST = 100;
const SCRIPTS = fileURLToPath(new URL("../../scripts", import.meta.url));
/** Far more than it takes, so that a busy machine does not fail it. In milliseconds. */
const BOUND = 3000;

let browser;
let examples;
let server;

before(async () => {
  browser = await launch();
  examples = await demo("--speed", "400");
  await examples.over();
  await examples.running.stop();
  // What a demo leaves is copied to as many customers as wanted, as the load tests do it.
  execFileSync("python3", ["-c", "import sys; sys.path.insert(0, sys.argv[1]); import load_tests; load_tests.copies(sys.argv[2], int(sys.argv[3]))",
    SCRIPTS, `${examples.data}/orchestrator.db`, String(CUSTOMERS)]);
  server = await serve(`${examples.data}/repository`, { kept: examples.data });
});

after(async () => {
  await browser?.close();
  await server?.stop();
  await examples?.stop();
});

const opened = async (path = "", options = {}) => {
  const result = await open(browser, `${server.url}#/${path}`, { allowed: ["401"], ...options });
  await result.page.evaluate(() => {
    globalThis.long = [];
    new PerformanceObserver((list) => globalThis.long.push(...list.getEntries().map((one) => one.duration))).observe({ type: "longtask", buffered: true });
  });
  await result.page.getByLabel("Token").fill(token("admin"));
  return result;
};

/** The longest time in which the page could not answer, since it was last asked; in milliseconds. */
const longest = (page) => page.evaluate(() => Math.round(Math.max(0, ...globalThis.long.splice(0))));

/** How long a change of the search takes, until it is on the screen; in milliseconds. */
const typed = (page, text) => page.getByRole("searchbox").evaluate(async (input, value) => {
  const start = performance.now();
  input.value = value;
  input.dispatchEvent(new InputEvent("input", { bubbles: true }));
  await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
  return performance.now() - start;
}, text);

const shown = (page, count) => page.getByText(`${count} of ${CUSTOMERS} shown`).waitFor({ state: "attached" });

function median(times) {
  return times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)];
}

test("the overview of 1,000 customers comes up, is searched by each letter, and stays usable in a burst of events", async (t) => {
  const { page, close } = await opened();
  const start = Date.now();
  await page.getByRole("button", { name: "Use this token" }).click();
  await page.locator("#places tbody tr").first().waitFor();
  await shown(page, CUSTOMERS);
  const first = Date.now() - start;
  t.diagnostic(`from the token to the first picture: ${first} ms, longest task ${await longest(page)} ms`);
  assert.ok(first < BOUND, `the first picture took ${first} ms`);
  // Not more is drawn than somebody can look at.
  assert.equal(await page.locator("#places tbody tr").count(), 50);
  await sound(page, "large-overview");

  const word = "customer-0777";
  const times = [];
  for (let letters = 1; letters <= word.length; letters += 1) times.push(await typed(page, word.slice(0, letters)));
  await shown(page, 1);
  t.diagnostic(`a letter in the search: median ${Math.round(median(times))} ms, worst ${Math.round(Math.max(...times))} ms, longest task ${await longest(page)} ms`);
  assert.ok(Math.max(...times) < BOUND, `letters took ${times}`);
  assert.match(page.url(), /search=customer-0777/);
  await typed(page, "");
  await shown(page, CUSTOMERS);

  // A hundred customers get new deployments while somebody types.
  await longest(page);
  const asked = [];
  for (let number = 1; number <= BURST; number += 1) {
    const customer = `customer-${String(number).padStart(4, "0")}`;
    asked.push(ask(server, "operator", "POST", "/health/services/redis/check", { customer, environment: "production" }));
  }
  const during = [];
  let left = BURST;
  for (let round = 0; left > 0 && round < 600; round += 1) {
    during.push(await typed(page, round % 2 ? "customer-0" : "failed"));
    const { items } = await ask(server, "viewer", "GET", "/events?state=accepted&limit=1000");
    left = items.length;
    if (round === 0) await Promise.all(asked);
  }
  assert.equal(left, 0, "all that was asked for is worked on");
  const blocked = await longest(page);
  t.diagnostic(`${during.length} letters while events of ${BURST} customers arrive: median ${Math.round(median(during))} ms, worst ${Math.round(Math.max(...during))} ms, longest task ${blocked} ms (200 ms are wanted)`);
  assert.ok(Math.max(...during) < BOUND && blocked < BOUND, `letters took ${during}; blocked for ${blocked} ms`);
  await close();
});

test("the list of 1,000 customers is sorted, filtered and walked by keys", async () => {
  const { page, close } = await opened("?sort=customer");
  await page.getByRole("button", { name: "Use this token" }).click();
  await shown(page, CUSTOMERS);
  await page.keyboard.press("/");
  assert.equal(await page.evaluate(() => document.activeElement.id), "search");
  await page.keyboard.type("customer-01");
  await shown(page, 100);
  await page.keyboard.press("ArrowDown");
  const there = () => page.evaluate(() => document.activeElement.textContent);
  assert.match(await there(), /^customer-0100/);
  await page.keyboard.press("ArrowDown");
  assert.match(await there(), /^customer-0101/);
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("ArrowUp");
  assert.equal(await page.evaluate(() => document.activeElement.id), "search");
  await page.getByRole("button", { name: "Next" }).click();
  await page.getByText("Page 2 of 2").waitFor();
  await page.getByRole("button", { name: /failed/ }).click();
  await page.getByText(/^\d+ of 1000 shown$/).waitFor({ state: "attached" });
  const address = page.url();
  assert.match(address, /search=customer-01.*state=failed.*sort=customer/);
  await page.keyboard.press("Tab");
  await close();
});

test("other views of 1,000 customers come up, also in a narrow window", async (t) => {
  for (const [path, heading, part] of [["health", "Health", "first 20 of"], ["rollbacks", "Rollbacks", "The newest deployment"], ["dependencies?customer=customer-a&environment=production", "Dependencies", "Every dependency"], ["deployments", "Deployments", "Show more"]]) {
    const { page, close } = await opened(path, { viewport: NARROW, scheme: "dark" });
    const start = Date.now();
    await page.getByRole("button", { name: "Use this token" }).click();
    await page.getByRole("heading", { name: heading, exact: true }).waitFor();
    await page.getByText(part).first().waitFor();
    t.diagnostic(`${heading}: ${Date.now() - start} ms, longest task ${await longest(page)} ms`);
    await sound(page, `large-${heading.toLowerCase()}`);
    await close();
  }
});
