// The browser, and pages that notice whatever is wrong with them.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { PATIENCE } from "./server.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const SHOTS = process.env.BROWSER_SCREENSHOTS;

/** Widths that the page has to work at. */
export const WIDE = { width: 1280, height: 860 };
export const NARROW = { width: 400, height: 800 };

/** A browser for a file of tests. */
export function launch() {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-dev-shm-usage"] });
}

/** A page that keeps what went wrong in `faults`. `allowed` are answers that a test provokes, `elsewhere` other origins that it goes to. */
export async function open(browser, url, { viewport = WIDE, scheme = "light", allowed = [], elsewhere = [], motion = "no-preference" } = {}) {
  const context = await browser.newContext({ viewport, colorScheme: scheme, reducedMotion: motion });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  const faults = [];
  const fine = (text) => allowed.some((part) => text.includes(part));
  page.on("pageerror", (error) => faults.push(`error: ${error.message}`));
  page.on("console", (message) => {
    const text = `${message.text()} ${message.location().url}`;
    if (["error", "warning"].includes(message.type()) && !fine(text)) faults.push(`console: ${text}`);
  });
  page.on("request", (request) => {
    const target = new URL(request.url());
    if (!["data:", "blob:"].includes(target.protocol) && ![new URL(url).origin, ...elsewhere].includes(target.origin)) faults.push(`asks elsewhere: ${target}`);
  });
  await page.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));
  });
  await page.goto(url);
  return {
    page,
    faults,
    async close() {
      await context.close();
      assert.deepEqual(faults, []);
    },
  };
}

/** Keeps a picture of the page. */
export async function shot(page, name) {
  if (!SHOTS) return;
  mkdirSync(SHOTS, { recursive: true });
  await page.screenshot({ path: join(SHOTS, `${name}.png`) });
}

/** Nothing of the page is wider than the window. */
export async function fits(page) {
  const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(over <= 0, `the page is ${over} pixels wider than the window at ${page.url()}`);
}

/** The page can be used by everybody, as far as a program can tell. */
export async function accessible(page) {
  // What fades in is judged when it is there.
  await page.evaluate(() => Promise.all(document.getAnimations().filter((one) => one.constructor.name === "CSSTransition").map((one) => one.finished.catch(() => null))));
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  const told = violations.map((one) => `${one.id}: ${one.help}\n${one.nodes.slice(0, 4).map((node) => `   ${node.html.slice(0, 180)} ${node.any[0]?.message ?? node.all[0]?.message ?? ""}`).join("\n")}`);
  assert.deepEqual(told, [], `${page.url()}: ${told.join("\n")}`);
}

/** Everything that holds for each view. */
export async function sound(page, name) {
  await fits(page);
  await accessible(page);
  await shot(page, name);
}
