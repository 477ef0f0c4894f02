// Takes the picture of the page that the README shows: a deployment under way. Run by scripts/record-page.sh.

import { statSync } from "node:fs";
import { launch, open } from "./browser.mjs";
import { demo } from "./server.mjs";

const MOST = 200 * 1024;
const path = process.env.PAGE_PICTURE;
if (!path) throw new Error("PAGE_PICTURE is not set: run scripts/record-page.sh");

const browser = await launch();
const server = await demo("--fail", "payment-service", "--speed", "20");
try {
  const { page, close } = await open(browser, server.url, { viewport: { width: 1280, height: 660 }, motion: "reduce" });
  await server.running.says(/push 2/);
  await page.waitForFunction(() => document.querySelector("#places .badge")?.textContent === "running");
  await page.getByRole("link", { name: /customer-a/ }).click();
  // Wave 2 is done and much of wave 3 is: what is healthy, what is being looked at and what waits are all to be seen.
  await page.waitForFunction(() => document.querySelectorAll(".box.tone-good").length > 33
    && document.querySelectorAll(".box.tone-busy, .box.tone-proof").length > 2);
  await page.screenshot({ path });
  await close();
} finally {
  await browser.close();
  await server.stop();
}
const { size } = statSync(path);
if (size > MOST) throw new Error(`${path} has ${size} bytes, and ${MOST} at most are wanted`);
