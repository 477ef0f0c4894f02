// What is wrong with an input.

import { el } from "./el.js";

/** What is wrong with an input, each with its place. */
export function diagnostics(items) {
  return el("ul", { class: "faults" }, items.map((item) => el("li", {},
    item.place && el("code", {}, [item.place.file, item.place.line, item.place.column].filter(Boolean).join(":")), " ",
    item.message, item.help && el("span", { class: "faint" }, ` (${item.help})`))));
}
