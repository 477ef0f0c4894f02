// The plan of a deployment, and how it differs from the one before.

import { get } from "../../api.js";
import { el, replace } from "../../el.js";
import { table, wave } from "../../table.js";

export function planTab({ node, model }) {
  const place = el("div");
  const toggle = el("input", { type: "checkbox", id: "all-changes" });
  let plan = null;
  let diff = null;
  let hash = null;
  toggle.addEventListener("change", draw);

  async function load() {
    hash = model.deployment.plan;
    [plan, diff] = await Promise.all([get(`${model.path}/plan`, {}, model.signal), get(`${model.path}/diff`, {}, model.signal)]);
    draw();
  }

  function draw() {
    if (!plan) return;
    const shown = new Map(model.deployment.services.map((service) => [service.service, service]));
    const name = (change) => change.service ?? "base";
    const alone = plan.changes.filter((change) => change.action.action === "leave").length;
    const rows = plan.changes.filter((change) => toggle.checked || change.action.action !== "leave");
    const reasons = (change) => shown.get(name(change))?.reasons.join("; ") ?? "";
    replace(place,
      el("h2", {}, "What changes"),
      difference(),
      el("h2", {}, "What is done"),
      el("p", { class: "faint" }, `In the order of ${plan.order}, to ${plan.revision.slice(0, 8)}. The plan's hash, which an approval is bound to: `, el("code", { class: "break" }, plan.hash)),
      alone > 0 && el("label", { class: "check" }, toggle, ` also the ${alone} that are left alone`),
      table({
        stack: true,
        caption: "What is done, in the order of turns",
        columns: [
          { name: "Service", cell: (row) => name(row) },
          { name: "Wave", cell: (row) => wave(row.wave) },
          { name: "Action", cell: (row) => row.action.action },
          { name: "Why", className: "wide", cell: reasons },
          { name: "After", className: "wide spare", cell: (row) => after(row.requires.map((at) => name(plan.changes[at]))) },
          { name: "Ran before", cell: (row) => (row.previous ? el("code", { title: row.previous.revision }, row.previous.revision.slice(0, 8)) : "nothing") },
        ],
        rows,
      }),
      plan.removals?.length > 0 && [el("h2", {}, "What is removed at the end"), el("ol", {}, plan.removals.map((removal) => el("li", {}, removal.service)))]);
  }

  function after(names) {
    if (names.length === 0) return el("span", { class: "faint" }, "nothing");
    if (names.length <= 3) return names.join(", ");
    return el("span", { title: names.join(", ") }, `${names.slice(0, 3).join(", ")} and ${names.length - 3} more`);
  }

  function difference() {
    const edge = (one) => (Array.isArray(one) ? one.join(" → ") : typeof one === "string" ? one : Object.values(one).join(" → "));
    const parts = [
      ["Added", diff.added], ["Removed", diff.removed], ["In another wave", diff.moved],
      ["New dependencies", diff.new_edges], ["Dependencies that are gone", diff.removed_edges], ["Touched", diff.touched],
    ].filter(([, list]) => list?.length > 0);
    if (parts.length === 0) return el("p", {}, "Nothing, against the deployment before.");
    return el("dl", { class: "difference" }, parts.map(([title, list]) => [
      el("dt", {}, `${title} (${list.length})`),
      el("dd", {}, list.map((one) => el("span", { class: "chip" }, edge(one)))),
    ]));
  }

  replace(node, place);
  return {
    load,
    update() {
      if (hash !== model.deployment.plan) load();
    },
  };
}
