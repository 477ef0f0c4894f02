// Short notices at the corner of the page.

import { el } from "./el.js";
import { icon } from "./icon.js";

const STAYS = 8000;
const MOST = 4;

/** Says something. What went wrong stays until it is closed. */
export function notice(text, tone = "good") {
  const place = document.getElementById("notices");
  const close = el("button", { type: "button", class: "quiet", "aria-label": "Close" }, icon("cross"));
  const node = el("div", { class: `notice tone-${tone}` }, icon(tone === "bad" ? "bang" : "check"), el("p", {}, text), close);
  close.addEventListener("click", () => node.remove());
  place.append(node);
  while (place.children.length > MOST) place.firstChild.remove();
  if (tone !== "bad") setTimeout(() => node.remove(), STAYS);
}

/** What is shown where something could not be loaded. */
export function failure(error, again) {
  return el("div", { class: "empty", role: "alert" },
    el("p", {}, el("strong", {}, error.title ?? "It did not work"), ": ", error.message),
    error.request && el("p", { class: "faint" }, `request ${error.request}`),
    again && el("button", { type: "button", onclick: again }, "Try again"));
}
