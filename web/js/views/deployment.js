// One deployment: where it stands, its graph and timeline, its plan and journal, and what can be asked of it.

import { get, part, read } from "../api.js";
import { commandsFor, give, isOver, roleOf } from "../commands.js";
import { el, replace } from "../el.js";
import { diagnostics } from "../diagnostics.js";
import { isDone } from "../done.js";
import { later } from "../later.js";
import { byRights, needs } from "../rights.js";
import { session } from "../session.js";
import { badge, bar } from "../state.js";
import { growing, table } from "../table.js";
import { tabs } from "../tabs.js";
import { takeBack } from "../takeback.js";
import { ago, between, length } from "../time.js";
import { graphTab } from "./deployment/graph.js";
import { journalTab } from "./deployment/journal.js";
import { planTab } from "./deployment/plan.js";
import { servicesTab } from "./deployment/services.js";
import { timelineTab } from "./deployment/timeline.js";

const TABS = [
  ["graph", "Graph", graphTab],
  ["timeline", "Timeline", timelineTab],
  ["services", "Services", servicesTab],
  ["plan", "Plan", planTab],
  ["journal", "Journal", journalTab],
];

export function deployment({ node, parts, signal }) {
  const id = parts[1];
  if (!id) return list({ node, signal });
  const path = `/deployments/${part(id)}`;
  const at = (tab) => `#/deployments/${part(id)}${tab === "graph" ? "" : `/${tab}`}`;
  let wanted = parts[2] ?? "graph";
  const model = { id, path, signal, deployment: null, waiting: new Map(), tag: null, selected: null, newest: false, own: null };
  const head = el("div");
  const said = el("p", { class: "unseen", role: "status" });
  const place = el("div");
  let strip = null;
  let open = null;
  let commands = "";

  async function fetchModel() {
    const [{ data, tag }, waiting] = await Promise.all([read(path, {}, signal), get(`${path}/why`, {}, signal)]);
    const before = model.deployment?.state;
    model.deployment = data;
    model.tag = tag;
    model.waiting = new Map(waiting.map((one) => [one.service, one]));
    if (before !== data.state) await fetchRights(data);
    // Only the whole is announced: 55 services that move would be noise.
    if (before && before !== data.state) said.textContent = `The deployment is ${data.state} now`;
  }

  // What only the server knows of what may be asked for: whether who asked may approve, and whether anything came later.
  async function fetchRights({ customer, environment, state, requested_by: by }) {
    model.own = null;
    if (state === "awaiting-approval" && session.me?.name === by) {
      model.own = (await get(`${path}/preview`, { command: "approve" }, signal)).refused;
    }
    if (isOver(state)) {
      const { items } = await get("/deployments", { customer, environment, limit: 1 }, signal);
      model.newest = items[0]?.id === id;
    }
  }

  function counts() {
    const states = {};
    for (const service of model.deployment.services) states[service.state] = (states[service.state] ?? 0) + 1;
    return states;
  }

  const badgePlace = el("span");
  const facts = el("div", { class: "facts" });
  const progress = el("div", { class: "progress wide" });
  const why = el("div");
  const buttons = el("div", { class: "buttons", role: "group", "aria-label": "What can be asked of it" });
  const rights = el("div");

  function drawHead() {
    const one = model.deployment;
    replace(badgePlace, badge(one.state));
    const states = counts();
    const passed = one.services.filter((service) => isDone(service, one.purpose)).length;
    const took = one.started_at && length(between(one.started_at, one.ended_at));
    replace(facts,
      fact("Commit", el("code", { title: one.revision }, one.revision.slice(0, 8))),
      fact("Asked for by", one.requested_by),
      fact("Order", one.order),
      fact(one.started_at ? "Started" : "Made", ago(one.started_at ?? one.created_at)),
      took && fact(one.ended_at ? "Took" : "For", took));
    progress.hidden = one.services.length === 0;
    replace(progress, bar(states, one.services.length, "services"), el("span", { class: "faint" }, `${passed} of ${one.services.length} done`));
    replace(why, reason());
    // Buttons are only made anew where others are needed: who is about to press one must not lose it.
    const { offered, withheld } = byRights(commandsFor(one.state), roleOf, one.customer);
    const shown = offered.filter((command) => command.word !== "approve" || !model.own);
    const words = `${shown.map((command) => command.word).join()} ${model.own} ${model.newest}`;
    if (words !== commands) {
      commands = words;
      const wave = model.newest && session.lacks("operator", one.customer);
      replace(rights,
        model.own && el("p", { class: "rights faint" }, `You cannot approve it: ${model.own}.`),
        needs([...withheld, ...(wave ? [{ name: "Rolling back a wave", reason: wave }] : [])]));
      replace(buttons, shown.map((command) => el("button", { type: "button", class: command.tone ?? "", onclick: () => press(command) }, command.name)));
    }
  }

  function reason() {
    const one = model.deployment;
    if (one.diagnostics?.length) return diagnostics(one.diagnostics);
    if (one.reason) return el("p", { class: "why" }, one.reason);
    const waiting = [...model.waiting.values()];
    if (waiting.length === 0) return null;
    const behind = ["dependency", "wave", "concurrency", "dependant"];
    const root = waiting.find((wait) => !behind.includes(wait.kind)) ?? waiting[0];
    return el("p", { class: "why" }, el("strong", {}, root.service), ` ${root.text}`,
      waiting.length > 1 && el("span", { class: "faint" }, ` · ${waiting.length - 1} more wait`));
  }

  async function press(command, service) {
    try {
      if (await give(command, id, service)) refresh();
    } catch (error) {
      replace(why, el("p", { class: "why wrong", role: "alert" }, error.message));
    }
  }
  model.press = press;

  /** Whether a wave can be taken back from here: of what runs now, and by whoever may. */
  model.waves = () => isOver(model.deployment.state) && model.newest && !session.lacks("operator", model.deployment.customer);
  model.backWave = async (wave) => {
    const { customer, environment } = model.deployment;
    try {
      await takeBack({ customer, environment, wave });
    } catch (error) {
      replace(why, el("p", { class: "why wrong", role: "alert" }, error.message));
    }
  };

  async function openTab(name) {
    const [key, , make] = TABS.find(([tab]) => tab === name) ?? TABS[0];
    open?.close?.();
    const content = el("div", { class: `tab tab-${key}` });
    open = make({ node: content, model });
    wanted = key;
    strip.select(key);
    replace(strip.panel, content);
    await open.load?.();
  }

  async function update() {
    await fetchModel();
    drawHead();
    open?.update?.();
  }
  const refresh = later(update, 350);

  return {
    title: "Deployment",
    async load() {
      await fetchModel();
      const one = model.deployment;
      this.title = `${one.customer} ${one.environment}`;
      replace(head,
        el("p", { class: "crumbs" }, el("a", { href: "#/" }, "Overview"), " / ", el("a", { href: `#/deployments?customer=${part(one.customer)}` }, "deployments")),
        el("div", { class: "head" },
          el("h1", {}, `${one.customer} `, el("span", { class: "faint" }, one.environment)), badgePlace, buttons),
        rights, facts, progress, why);
      strip = tabs(TABS.map(([key, name]) => ({ key, name, href: at(key) })), "Parts of the deployment");
      replace(place, strip.node, strip.panel);
      replace(node, head, said, place);
      drawHead();
      await openTab(wanted);
    },
    moved(others) {
      if (others[0] !== "deployments" || others[1] !== id || !strip) return false;
      openTab(others[2] ?? "graph");
      return true;
    },
    refresh: () => update(),
    event(type, data) {
      if (!model.deployment) return;
      if (type === "created" && data.customer === model.deployment.customer && data.environment === model.deployment.environment && data.deployment !== id) {
        model.newest = false;
        drawHead();
        open?.update?.();
      }
      if (data.deployment !== id) return;
      model.deployment.state = data.state;
      const services = new Map(model.deployment.services.map((service) => [service.service, service]));
      for (const moved of data.transitions) {
        const service = services.get(moved.service);
        if (service && service.state !== moved.to) Object.assign(service, { state: moved.to, since: data.at });
      }
      drawHead();
      open?.event?.(data);
      refresh();
    },
    close() {
      refresh.stop();
      open?.close?.();
    },
  };
}

function fact(name, ...value) {
  return el("div", { class: "fact" }, el("span", { class: "faint" }, name), el("span", {}, value));
}

// Without an id: all deployments, the newest first.
function list({ node, signal }) {
  const customer = new URLSearchParams(location.hash.split("?")[1] ?? "").get("customer");
  const place = el("div");
  return {
    title: "Deployments",
    async load() {
      const rows = growing((cursor) => get("/deployments", { customer, cursor }, signal), (items) => (items.length === 0 ? el("div", { class: "empty" }, "Nothing was deployed yet.") : table({
        stack: true,
        caption: "Deployments, the newest first",
        columns: [
          { name: "Deployment", cell: (row) => el("a", { href: `#/deployments/${part(row.id)}`, class: "strong" }, row.customer, el("span", { class: "faint" }, ` ${row.environment}`)) },
          { name: "State", cell: (row) => badge(row.state) },
          { name: "Commit", cell: (row) => el("code", { title: row.revision }, row.revision.slice(0, 8)) },
          { name: "For", className: "spare", cell: (row) => row.purpose },
          { name: "Asked for by", className: "spare", cell: (row) => row.requested_by },
          { name: "Made", cell: (row) => ago(row.created_at) },
          { name: "Took", className: "spare", cell: (row) => (row.started_at && row.ended_at ? length(between(row.started_at, row.ended_at)) : "–") },
        ],
        rows: items,
      })));
      replace(place, rows.place);
      replace(node, el("p", { class: "crumbs" }, el("a", { href: "#/" }, "Overview")), el("h1", {}, customer ? `Deployments of ${customer}` : "Deployments"), place);
      await rows.reload();
    },
  };
}
