// The health of services: what Argo CD shows now, beside what the latest deployment says.

import { get, part, places as allPlaces, post } from "../api.js";
import { el, replace } from "../el.js";
import { later } from "../later.js";
import { notice } from "../notice.js";
import { needs } from "../rights.js";
import { session } from "../session.js";
import { badge } from "../state.js";
import { pager, table } from "../table.js";
import { ago } from "../time.js";

const ROWS = 60;
const GOOD = new Set(["Healthy"]);
/** Customers and environments whose services are read at once: each of them is an object in a cluster. */
const PLACES = 20;

export function health({ node, query, signal }) {
  let rows = [];
  const state = { text: query.get("search") ?? "", only: "", page: 0 };
  const tiles = el("div", { class: "tiles", role: "group", "aria-label": "Filter by health" });
  const place = el("div");
  const choice = el("select", { id: "health-place" });
  choice.addEventListener("change", () => {
    state.page = 0;
    load().catch((error) => notice(error.message, "bad"));
  });
  const bound = el("p", { class: "faint", role: "status" });
  const rights = el("div");
  const search = el("input", { type: "search", id: "health-search", placeholder: "Search services and customers", value: state.text });
  search.addEventListener("input", () => {
    Object.assign(state, { text: search.value, page: 0 });
    draw();
  });
  const word = (row) => row.shown?.health ?? (row.unreadable ? "Unknown" : "Missing");

  function draw() {
    const counts = new Map();
    for (const row of rows) counts.set(word(row), (counts.get(word(row)) ?? 0) + 1);
    replace(tiles, [["", rows.length], ...[...counts].sort((a, b) => Number(GOOD.has(a[0])) - Number(GOOD.has(b[0])) || b[1] - a[1])].map(([health, count]) =>
      el("button", {
        type: "button",
        class: "tile",
        "aria-pressed": String(state.only === health),
        onclick: () => {
          Object.assign(state, { only: state.only === health ? "" : health, page: 0 });
          draw();
        },
      }, el("strong", {}, count), health ? badge(health) : el("span", {}, "all"))));
    const text = state.text.toLowerCase();
    const chosen = rows.filter((row) => (!state.only || word(row) === state.only) && `${row.service} ${row.customer} ${row.environment} ${row.state}`.toLowerCase().includes(text))
      .sort((a, b) => Number(GOOD.has(word(a))) - Number(GOOD.has(word(b))));
    const lacking = [...new Set(chosen.map((row) => session.lacks("operator", row.customer)).filter(Boolean))];
    replace(rights, lacking.length > 3
      ? el("p", { class: "rights faint" }, `Checks need the role operator, which is missing for ${lacking.length} customers.`)
      : needs(lacking.map((reason) => ({ name: "A check", reason }))));
    const pages = Math.max(1, Math.ceil(chosen.length / ROWS));
    state.page = Math.min(state.page, pages - 1);
    replace(place, chosen.length === 0 ? el("div", { class: "empty" }, rows.length === 0 ? "Nothing was deployed yet." : "Nothing fits.") : table({
      stack: true,
      caption: "Health of services",
      columns: [
        { name: "Service", cell: (row) => el("a", { href: `#/deployments/${part(row.deployment)}/services`, class: "strong" }, row.service) },
        { name: "Customer", className: "mate", cell: (row) => [row.customer, el("span", { class: "faint" }, ` ${row.environment}`)] },
        { name: "Health", cell: (row) => el("span", { title: row.unreadable }, badge(word(row))) },
        { name: "Sync", cell: (row) => (row.shown ? badge(row.shown.sync) : "–") },
        { name: "Deployment", className: "spare", cell: (row) => badge(row.state) },
        { name: "Commit", className: "spare", cell: (row) => (row.shown?.revision ? el("code", { title: row.shown.revision }, row.shown.revision.slice(0, 8)) : "–") },
        { name: "Compared", className: "spare", cell: (row) => ago(row.shown?.compared_at) },
        { name: "Ask", cell: (row) => (row.service === "base" || session.lacks("operator", row.customer) ? "" : el("button", { type: "button", "aria-label": `Check ${row.service} of ${row.customer} now`, onclick: () => check(row) }, "Check")) },
      ],
      rows: chosen.slice(state.page * ROWS, (state.page + 1) * ROWS),
    }), pager(state.page, pages, chosen.length, (page) => {
      state.page = page;
      draw();
    }));
  }

  async function check(row) {
    try {
      const answer = await post(`/health/services/${part(row.service)}/check`, { customer: row.customer, environment: row.environment });
      notice(`A fresh look at ${row.service} and all that it depends on is asked for as ${answer.event}`);
      reload();
    } catch (error) {
      notice(error.message, "bad");
    }
  }

  async function load() {
    const [customer, environment] = choice.value.split("/");
    const answer = await get("/health/services", { limit: PLACES, customer, environment }, signal);
    rows = answer.items;
    replace(bound, answer.next && `These are the services of the first ${PLACES} of ${choice.options.length - 1} customers and environments. Choose one to see its own.`);
    draw();
  }
  const reload = later(load, 1500);

  async function first() {
    const known = await allPlaces(signal);
    const names = known.map((row) => `${row.customer}/${row.environment}`).sort();
    replace(choice, el("option", { value: "" }, "All customers"), names.map((name) => el("option", { value: name }, name.replace("/", " "))));
    if (names.includes(query.get("place"))) choice.value = query.get("place");
    await load();
  }

  replace(node, el("div", { class: "head" }, el("h1", {}, "Health"), el("p", { class: "faint" }, "What Argo CD shows now, beside the latest deployment.")),
    bound, tiles, el("p", { class: "tools" }, el("label", { for: "health-place", class: "unseen" }, "Customer"), choice, el("label", { for: "health-search", class: "unseen" }, "Search"), search), rights, place);
  return { title: "Health", load: first, refresh: reload, event: (type, data) => (!choice.value || choice.value === `${data.customer}/${data.environment}`) && reload(), close: () => reload.stop() };
}
