// What is wrong with an input.

import { el } from "./el.js";

/** What is wrong with an input, each with its place, and what can be done about it line by line. */
export function diagnostics(items) {
  return el("ul", { class: "faults" }, items.map((item) => el("li", {},
    el("span", {}, item.message),
    item.file && el("code", { class: "faint break" }, [item.file, item.line, item.column].filter(Boolean).join(":")),
    item.help && el("ul", { class: "faint" }, item.help.split("\n").map((line) => el("li", {}, line.trim()))))));
}
