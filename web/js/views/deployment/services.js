// The services of a deployment as a table: the same as the graph, in words.

import { el, replace } from "../../el.js";
import { badge } from "../../state.js";
import { table, wave } from "../../table.js";
import { ago } from "../../time.js";

export function servicesTab({ node, model }) {
  const place = el("div");
  const only = el("input", { type: "search", id: "service-search", placeholder: "Filter services" });
  only.addEventListener("input", draw);

  function draw() {
    const text = only.value.trim().toLowerCase();
    const rows = model.deployment.services.filter((row) => `${row.service} ${row.state} ${row.action}`.toLowerCase().includes(text));
    replace(place, rows.length === 0 ? el("div", { class: "empty" }, "Nothing fits.") : table({
      stack: true,
      caption: "Services of the deployment, in the order of their turns",
      columns: [
        { name: "Service", cell: (row) => row.service },
        { name: "Wave", cell: (row) => wave(row.wave) },
        { name: "State", cell: (row) => badge(row.state) },
        { name: "Waits for, or why", className: "wide", cell: (row) => model.waiting.get(row.service)?.text ?? row.detail ?? "" },
        { name: "Planned", className: "spare", cell: (row) => el("span", { title: row.reasons.join("; ") }, row.action) },
        { name: "Since", className: "spare", cell: (row) => ago(row.since) },
      ],
      rows,
    }), removals());
  }

  function removals() {
    const rows = model.deployment.removals ?? [];
    return rows.length > 0 && [el("h2", {}, "Removed at the end"), table({
      caption: "Services that are removed, because they are not in the values any more",
      columns: [
        { name: "Service", cell: (row) => row.service },
        { name: "State", cell: (row) => row.state },
        { name: "Why", cell: (row) => row.reason ?? "" },
      ],
      rows,
    })];
  }

  replace(node, el("p", { class: "tools" }, el("label", { for: "service-search", class: "unseen" }, "Filter services"), only), place);
  return { load: async () => draw(), update: draw };
}
