// Who did what, when and from where.

import { get, part } from "../api.js";
import { el, replace } from "../el.js";
import { later } from "../later.js";
import { growing, table } from "../table.js";
import { moment } from "../time.js";

export function audit({ node, signal }) {
  const search = el("input", { type: "search", id: "audit-search", placeholder: "Filter what is shown" });
  let items = [];
  const rows = el("div");
  const list = growing((cursor) => get("/audit", { cursor }, signal), (all) => {
    items = all;
    draw();
    return rows;
  });
  search.addEventListener("input", draw);

  function draw() {
    const text = search.value.trim().toLowerCase();
    const shown = items.filter((row) => JSON.stringify(row).toLowerCase().includes(text));
    replace(rows, shown.length === 0 ? el("div", { class: "empty" }, "Nothing to show.") : table({
      stack: true,
      caption: "Audit, the newest first",
      columns: [
        { name: "When", cell: (row) => moment(row.at) },
        { name: "Who", cell: (row) => [row.actor, el("span", { class: "faint" }, ` ${row.via ?? ""}`)] },
        { name: "What", cell: (row) => row.action },
        { name: "About", className: "wide", cell: (row) => [[row.customer, row.environment].filter(Boolean).join(" "), row.summary && el("span", { class: "faint" }, ` ${row.summary}`), row.deployment && [" ", el("a", { href: `#/deployments/${part(row.deployment)}` }, row.deployment)]] },
        { name: "From", className: "spare", cell: (row) => row.address ?? "" },
        { name: "Request", className: "spare", cell: (row) => el("code", { class: "short", title: row.request_id }, row.request_id ?? "") },
      ],
      rows: shown,
    }));
  }

  const reload = later(() => list.reload(), 1500);
  replace(node, el("div", { class: "head" }, el("h1", {}, "Audit")),
    el("p", { class: "tools" }, el("label", { for: "audit-search", class: "unseen" }, "Filter"), search), list.place);
  return {
    title: "Audit",
    load: () => list.reload(),
    refresh: reload,
    event: reload,
    close: () => reload.stop(),
  };
}
