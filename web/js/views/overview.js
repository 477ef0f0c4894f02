// All customers and environments: how each stands, how far it is, what it waits for and since when.

import { get, place, places } from "../api.js";
import { el, replace } from "../el.js";
import { later, nextFrame } from "../later.js";
import { badge, bar, look } from "../state.js";
import { pager, table } from "../table.js";
import { ago } from "../time.js";

const ROWS = 50;
/** With more places than this that moved at once, all are read anew. */
const ONE_BY_ONE = 8;

const ATTENTION = { failed: 0, rejected: 0, "rolling-back": 1, "awaiting-approval": 2, paused: 3, stopping: 3, running: 4, queued: 5 };
const rank = (row) => ATTENTION[row.state] ?? 9;
// Made once: it is compared thousands of times for each picture.
const text = new Intl.Collator(undefined, { numeric: true }).compare;
const SORTS = {
  attention: (a, b) => rank(a) - rank(b) || text(b.since, a.since),
  customer: (a, b) => text(a.customer, b.customer) || text(a.environment, b.environment),
  state: (a, b) => text(a.state, b.state) || text(a.customer, b.customer),
  progress: (a, b) => done(a) - done(b),
  since: (a, b) => text(b.since, a.since),
};

function done(row) {
  return row.progress ? row.progress.passed / Math.max(1, row.progress.services) : 0;
}

const key = (row) => `${row.customer}/${row.environment}`;

export function overview({ node, query, signal }) {
  const rows = new Map();
  const state = {
    search: query.get("search") ?? "",
    only: query.get("state") ?? "",
    by: query.get("sort") ?? "attention",
    down: false,
    page: 0,
  };
  const tiles = el("div", { class: "tiles", role: "group", "aria-label": "Filter by state" });
  const list = el("div");
  const found = el("p", { class: "unseen", role: "status" });
  const search = el("input", { type: "search", id: "search", placeholder: "Search customers, environments, blockers", value: state.search });
  // However much happens, it is drawn once for each picture of the screen.
  const paint = nextFrame(draw);
  search.addEventListener("input", () => {
    state.search = search.value;
    state.page = 0;
    remember();
    paint();
  });
  search.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" && walk(null, 1)) event.preventDefault();
  });
  const sorting = el("select", { id: "sort" },
    [["attention", "What needs attention"], ["customer", "Customer"], ["state", "State"], ["progress", "Progress"], ["since", "Newest first"]]
      .map(([value, name]) => el("option", { value, selected: value === state.by }, name)));
  sorting.addEventListener("change", () => sort(sorting.value, false));

  function sort(by, down = state.by === by && !state.down) {
    Object.assign(state, { by, down, page: 0 });
    sorting.value = by;
    remember();
    draw();
  }

  // What is looked for stands in the address, so that it can be sent to somebody, and is there again on the way back.
  function remember() {
    const parameters = new URLSearchParams(Object.entries({ search: state.search, state: state.only, sort: state.by === "attention" ? "" : state.by }).filter(([, value]) => value));
    history.replaceState(null, "", `#/${parameters.size > 0 ? `?${parameters}` : ""}`);
  }

  /** Goes from a row to the next or the one before; from none to the first. */
  function walk(from, step) {
    const links = [...list.querySelectorAll("#places tbody th a")];
    const next = links[from ? links.indexOf(from) + step : 0];
    next?.focus();
    return Boolean(next);
  }
  list.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const link = event.target.closest("#places tbody th a");
    if (!step || !link) return;
    event.preventDefault();
    if (!walk(link, step) && step < 0) search.focus();
  });

  function visible() {
    const words = state.search.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = (row) => {
      if (state.only && row.state !== state.only) return false;
      const hay = `${key(row)} ${row.state} ${row.revision} ${row.blocked?.text ?? ""} ${row.reason ?? ""}`.toLowerCase();
      return words.every((word) => hay.includes(word));
    };
    const chosen = [...rows.values()].filter(fits).sort(SORTS[state.by] ?? SORTS.attention);
    return state.down ? chosen.reverse() : chosen;
  }

  function drawTiles() {
    const counts = new Map();
    for (const row of rows.values()) counts.set(row.state, (counts.get(row.state) ?? 0) + 1);
    const words = [...counts.keys()].sort((a, b) => rank({ state: a }) - rank({ state: b }) || text(a, b));
    const tile = (word, count, label, tone) => el("button", {
      type: "button",
      class: `tile tone-${tone}`,
      "aria-pressed": String(state.only === word),
      onclick: () => {
        state.only = state.only === word ? "" : word;
        state.page = 0;
        remember();
        draw();
      },
    }, el("strong", {}, count), el("span", {}, label));
    replace(tiles, tile("", rows.size, "all", "idle"), words.map((word) => tile(word, counts.get(word), look(word).label, look(word).tone)));
  }

  function draw() {
    const focus = document.activeElement?.closest?.(".tiles") ? document.activeElement.querySelector("span")?.textContent : null;
    drawTiles();
    if (focus) [...tiles.children].find((tile) => tile.querySelector("span").textContent === focus)?.focus();
    const chosen = visible();
    const words = `${chosen.length} of ${rows.size} shown`;
    if (found.textContent !== words) found.textContent = words;
    const pages = Math.max(1, Math.ceil(chosen.length / ROWS));
    state.page = Math.min(state.page, pages - 1);
    const open = document.activeElement?.closest?.("#places a")?.getAttribute("href");
    replace(list, chosen.length === 0 ? nothing() : el("div", { id: "places" }, table({
      stack: true,
      caption: "Customers and environments",
      columns,
      rows: chosen.slice(state.page * ROWS, (state.page + 1) * ROWS),
      sort: { by: state.by, down: state.down, set: sort },
    }), pager(state.page, pages, chosen.length, (page) => {
      state.page = page;
      draw();
    })));
    if (open) [...list.querySelectorAll("a")].find((link) => link.getAttribute("href") === open)?.focus({ preventScroll: true });
  }

  function nothing() {
    return rows.size === 0
      ? el("div", { class: "empty" }, el("h2", {}, "Nothing was deployed yet"), el("p", {}, "The first push shows up here by itself."))
      : el("div", { class: "empty" }, el("p", {}, "Nothing fits. "), el("button", {
        type: "button",
        onclick: () => {
          Object.assign(state, { search: "", only: "", page: 0 });
          search.value = "";
          remember();
          draw();
        },
      }, "Show all"));
  }

  async function reload() {
    const read = await places(signal);
    rows.clear();
    for (const row of read) rows.set(key(row), row);
    draw();
  }

  const dirty = new Map();
  const catchUp = later(async () => {
    const moved = [...dirty.values()];
    dirty.clear();
    if (moved.length > ONE_BY_ONE) await reload();
    else {
      for (const { customer, environment } of moved) {
        const answer = await get("/customers", { customer, environment }, signal);
        for (const item of answer.items) rows.set(key(item), place(item));
      }
      paint();
    }
  }, 500);

  replace(node,
    el("div", { class: "head" }, el("h1", {}, "Overview"), found),
    tiles,
    el("form", { class: "tools", role: "search", onsubmit: (event) => event.preventDefault() },
      el("label", { for: "search", class: "unseen" }, "Search"), search,
      el("label", { for: "sort" }, "Sort by"), sorting),
    list);

  return {
    title: "Overview",
    load: reload,
    refresh: () => reload(),
    event(type, data) {
      const row = rows.get(key(data));
      // The state shows at once; the rest is read.
      if (row && row.deployment === data.deployment && row.state !== data.state) {
        row.state = data.state;
        paint();
      }
      dirty.set(key(data), data);
      catchUp();
    },
    close() {
      catchUp.stop();
      paint.stop();
    },
  };
}

const columns = [
  {
    name: "Customer",
    key: "customer",
    cell: (row) => el("a", { href: `#/deployments/${encodeURIComponent(row.deployment)}`, class: "strong" }, row.customer, el("span", { class: "faint" }, ` ${row.environment}`)),
  },
  { name: "State", key: "state", cell: (row) => badge(row.state) },
  {
    name: "Progress",
    key: "progress",
    className: "grow",
    cell: (row) => {
      if (!row.progress?.services) return el("span", { class: "faint" }, "—");
      const { services, passed, states } = row.progress;
      return el("span", { class: "progress" }, bar(states, services, "services"), el("span", { class: "faint" }, `${passed}/${services}`));
    },
  },
  {
    name: "What blocks",
    className: "wide",
    cell: (row) => {
      if (row.blocked) {
        const more = row.blocked.services - 1;
        return el("span", { class: "clamp" }, el("strong", {}, row.blocked.service), ` ${row.blocked.text}`, more > 0 && el("span", { class: "faint" }, ` · ${more} more wait`));
      }
      return row.reason ? el("span", { class: "clamp" }, row.reason) : el("span", { class: "faint" }, "nothing");
    },
  },
  { name: "Since", key: "since", cell: (row) => ago(row.blocked?.since ?? row.since) },
  { name: "Commit", className: "spare", cell: (row) => el("code", { title: row.revision }, row.revision.slice(0, 8)) },
];
