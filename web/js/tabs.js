// Tabs that are links, so that each has an address of its own.

import { el } from "./el.js";

/** Tabs with one panel; `select(key)` says which one is open. */
export function tabs(items, label) {
  const links = new Map(items.map(({ key, name, href }) => [key, el("a", { href, role: "tab", id: `tab-${key}`, "aria-controls": "panel" }, name)]));
  const node = el("div", { class: "tabs", role: "tablist", "aria-label": label }, [...links.values()]);
  const panel = el("div", { class: "panel", role: "tabpanel", id: "panel" });
  node.addEventListener("keydown", (event) => {
    const all = [...links.values()];
    const at = all.indexOf(document.activeElement);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (to === undefined || at < 0) return;
    event.preventDefault();
    const next = all[(to + all.length) % all.length];
    next.focus();
    next.click();
  });
  return {
    node,
    panel,
    select(chosen) {
      for (const [key, link] of links) {
        link.setAttribute("aria-selected", String(key === chosen));
        link.tabIndex = key === chosen ? 0 : -1;
      }
      panel.setAttribute("aria-labelledby", `tab-${chosen}`);
    },
  };
}
