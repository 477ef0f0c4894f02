// Rollbacks: what could be taken back now and to what, and what was.

import { get, part, places as allPlaces } from "../api.js";
import { commandsFor, give } from "../commands.js";
import { el, replace } from "../el.js";
import { later } from "../later.js";
import { notice } from "../notice.js";
import { byRights, needs } from "../rights.js";
import { badge } from "../state.js";
import { growing, table, wave } from "../table.js";
import { takeBack } from "../takeback.js";
import { ago } from "../time.js";

export function rollbacks({ node, query, signal }) {
  const choice = el("select", { id: "rollback-place" });
  const tools = el("p", { class: "tools" }, el("label", { for: "rollback-place" }, "Customer"), choice);
  const analysis = el("section");
  let places = [];
  choice.addEventListener("change", () => analyse());

  const history = growing((cursor) => get("/rollback/history", { cursor }, signal), (items, more) => (items.length === 0
    ? el("div", { class: "empty" }, more ? "Nothing was taken back among the newest deployments." : "Nothing was taken back yet.")
    : items.map((item) => el("article", { class: "card" },
      el("h3", {}, el("a", { href: `#/deployments/${part(item.deployment)}` }, item.customer, el("span", { class: "faint" }, ` ${item.environment}`)), " ", badge(item.state)),
      el("p", {}, item.reason ?? ""),
      el("p", { class: "faint" }, item.purpose === "rollback" ? `asked for by ${item.requested_by}` : "a failure turned it around", " · ", el("code", { title: item.revision }, item.revision.slice(0, 8)), " · ", ago(item.created_at)),
      el("details", {}, el("summary", {}, `${item.services.length} services`), taken(item))))));

  function taken(item) {
    const order = [...item.services].sort((a, b) => Date.parse(a.since ?? 0) - Date.parse(b.since ?? 0));
    return table({
      caption: `What was taken back for ${item.customer} ${item.environment}, in this order`,
      columns: [
        { name: "Service", cell: (row) => row.service },
        { name: "State", cell: (row) => badge(row.state) },
        { name: "To, or why not", cell: (row) => row.detail ?? "" },
        { name: "When", className: "spare", cell: (row) => ago(row.since) },
      ],
      rows: order,
    });
  }

  async function analyse() {
    const place = places.find((row) => `${row.customer}/${row.environment}` === choice.value);
    if (!place) {
      replace(analysis, el("div", { class: "empty" }, "Nothing was deployed yet."));
      return;
    }
    const path = `/deployments/${part(place.deployment)}`;
    const { offered, withheld } = byRights([{ name: "Rolling back" }], () => "operator", place.customer);
    const [deployment, preview, plan] = await Promise.all([
      get(path, {}, signal), get(`${path}/preview`, { command: "rollback" }, signal), get(`${path}/plan`, {}, signal)]);
    if (!preview.refused) {
      const command = commandsFor(deployment.state).find((one) => one.word === "rollback");
      replace(analysis,
        el("p", { class: "lead" }, "The newest deployment is ", badge(deployment.state), ". Rolled back now, this would be taken back, dependants first:"),
        needs(withheld),
        command && offered.length > 0 && el("p", {}, el("button", { type: "button", class: "danger", onclick: () => give(command, place.deployment).then(reload, (error) => notice(error.message, "bad")) }, "Roll back")),
        steps(preview.services.map((service) => ({ ...service, why: service.cause }))));
      return;
    }
    replace(analysis,
      el("p", {}, "The newest deployment ", el("a", { href: `#/deployments/${part(place.deployment)}` }, place.revision.slice(0, 8)), " is ", badge(deployment.state), ". It is over, so nothing of it can be turned around; services and waves can be taken back on their own, by a deployment that is planned for it. What it advanced, and what each ran healthily before:"),
      needs(withheld),
      steps(before(deployment, plan), offered.length > 0 ? place : null, true));
  }

  // What each touched service ran before, dependants first: the plan has every change after all that it requires.
  function before(deployment, plan) {
    const states = new Map(deployment.services.map((service) => [service.service, service]));
    return plan.changes.map((change) => ({ change, name: change.service ?? "base" })).reverse()
      .filter(({ change, name }) => change.action.action === "sync" && states.get(name)?.state !== "skipped")
      .map(({ change, name }) => ({
        service: name,
        wave: change.wave,
        turn: null,
        from: states.get(name)?.state ?? "waiting",
        revision: change.previous?.revision ?? null,
        why: why(change, states.get(name)),
      }));
  }

  function why(change, service) {
    if (!change.previous) return "there is no earlier healthy commit, so it is left as it is";
    if (!change.rollback.enabled) return "rollback.enabled is false, so it is left as it is";
    if (service?.state === "rolled-back") return "it was taken back already";
    return `it ran ${change.rendering.image === change.previous.rendering.image ? "the same image with other values" : change.previous.rendering.image || "another version"} there`;
  }

  function steps(rows, place = null, over = false) {
    if (rows.length === 0) return el("p", { class: "faint" }, "Nothing: this deployment has advanced nothing.");
    return table({
      stack: true,
      caption: "What would be taken back, in which order, to which commit and why",
      columns: [
        { name: "Service", cell: (row) => row.service },
        { name: "Wave", cell: (row) => wave(row.wave) },
        ...(over ? [] : [{ name: "Turn", cell: (row) => row.turn ?? "–" }]),
        { name: "Stands", cell: (row) => badge(row.from) },
        { name: "To", cell: (row) => (row.revision ? el("code", { title: row.revision }, row.revision.slice(0, 8)) : "–") },
        { name: "Why", className: "wide", cell: (row) => row.why },
        ...(place ? [{ name: "Ask", cell: (row) => (row.revision && row.service !== "base" && row.from !== "rolled-back" ? el("button", { type: "button", "aria-label": `Roll back ${row.service}`, onclick: () => one(row, place) }, "Roll back") : "") }] : []),
      ],
      rows,
    });
  }

  async function one(row, place) {
    try {
      if (await takeBack({ customer: place.customer, environment: place.environment, service: row.service })) reload();
    } catch (error) {
      notice(error.message, "bad");
    }
  }

  async function load() {
    places = await allPlaces(signal);
    tools.hidden = places.length === 0;
    const wanted = choice.value || query.get("place");
    replace(choice, places.map((row) => el("option", { value: `${row.customer}/${row.environment}` }, `${row.customer} ${row.environment}`)));
    if (places.some((row) => `${row.customer}/${row.environment}` === wanted)) choice.value = wanted;
    await Promise.all([analyse(), history.reload()]);
  }
  const reload = later(load, 1500);

  replace(node,
    el("div", { class: "head" }, el("h1", {}, "Rollbacks")),
    el("h2", {}, "What would be taken back"),
    tools,
    analysis,
    el("h2", {}, "What was taken back"),
    history.place);
  return {
    title: "Rollbacks",
    load,
    refresh: reload,
    // A table that changes under the hands of who reads it is of no use: only ends and beginnings count.
    event: (type, data) => (type === "created" || data.transitions?.some((moved) => moved.service === null)) && reload(),
    close: () => reload.stop(),
  };
}
