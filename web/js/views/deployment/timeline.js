// The timeline: for each service how long it waited, synced and was verified, with the bands of the waves and the
// chain that took longest.

import { get } from "../../api.js";
import { el, replace, svg } from "../../el.js";
import { later } from "../../later.js";
import { look } from "../../state.js";
import { table, wave } from "../../table.js";
import { length } from "../../time.js";

const ROW = 20;
const TOP = 30;
const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400];
/** States that are drawn as a thin line: nothing happens in them. */
const QUIET = new Set(["waiting", "queued", "skipped", "rollback-waiting", "kept"]);
const ENDS = new Set(["healthy", "failed", "rolled-back", "rollback-failed"]);

export function timelineTab({ node, model }) {
  const chart = el("div", { class: "chart" });
  const facts = el("p", { class: "faint" });
  const alternative = el("details", {}, el("summary", {}, "The same as a table"));
  const toggle = el("input", { type: "checkbox", id: "all-rows" });
  toggle.addEventListener("change", () => draw());
  let data = null;
  let skew = 0;
  let width = 0;
  let timer = null;

  async function load() {
    data = await get(`${model.path}/timeline`, {}, model.signal);
    skew = Date.parse(data.now) - Date.now();
    draw();
  }
  const reload = later(load, 600);

  const observer = new ResizeObserver(() => {
    if (Math.abs(chart.clientWidth - width) > 4) draw();
  });
  observer.observe(chart);

  function rows() {
    return data.services.filter((row) => toggle.checked || (row.action !== "leave" && row.spans.some((span) => !QUIET.has(span.state))));
  }

  function draw() {
    if (!data) return;
    width = Math.max(320, chart.clientWidth);
    const names = width < 600 ? 118 : 190;
    const start = Date.parse(data.started_at ?? data.created_at);
    const end = data.ended_at ? Date.parse(data.ended_at) : Date.now() + skew;
    const total = Math.max(0.001, (end - start) / 1000);
    const scale = (width - names - 16) / total;
    const x = (at) => names + Math.max(0, ((typeof at === "string" ? Date.parse(at) : at) - start) / 1000) * scale;
    const shown = rows();
    const height = TOP + shown.length * ROW + 8;
    const critical = new Set(data.critical_path);
    const picture = svg("svg", { class: "gantt", width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Timeline over ${length(total)}; the table below has the same` });

    // The bands of the waves stand behind the rows of their services.
    const bands = [];
    shown.forEach((row, at) => {
      const band = bands.at(-1);
      if (band && band.wave === row.wave) band.to = at + 1;
      else bands.push({ wave: row.wave, from: at, to: at + 1 });
    });
    bands.forEach((band, at) => {
      const wave = data.waves.find((one) => one.wave === band.wave);
      const y = TOP + band.from * ROW;
      const tall = (band.to - band.from) * ROW;
      picture.append(svg("rect", { class: at % 2 ? "band odd" : "band", x: 0, y, width, height: tall }));
      if (wave?.started_seconds !== null && wave?.started_seconds !== undefined) {
        const from = names + wave.started_seconds * scale;
        const to = names + (wave.ended_seconds ?? total) * scale;
        picture.append(svg("rect", { class: "wave-span", x: from, y, width: Math.max(1, to - from), height: tall }));
      }
      picture.append(svg("text", { class: "band-name", x: width - 6, y: y + 13, "text-anchor": "end" }, band.wave === null ? "shared" : `wave ${band.wave}`));
    });

    const step = STEPS.find((one) => one * scale >= 70) ?? 86400;
    for (let tick = 0; tick <= total; tick += step) {
      const at = names + tick * scale;
      picture.append(svg("line", { class: "tick", x1: at, x2: at, y1: TOP - 6, y2: height }),
        svg("text", { class: "tick-name", x: at, y: TOP - 11, "text-anchor": "middle" }, tick === 0 ? "0" : length(tick)));
    }

    shown.forEach((row, at) => {
      const y = TOP + at * ROW;
      const on = critical.has(row.service);
      const letters = Math.floor((names - 18) / 6.6);
      const name = row.service.length > letters ? `${row.service.slice(0, letters - 1)}…` : row.service;
      picture.append(svg("text", { class: on ? "row-name critical" : "row-name", x: 10, y: y + 14 }, name, svg("title", {}, row.service)));
      for (const span of row.spans) {
        const from = x(span.from);
        const to = x(span.to ?? end);
        const { tone, label } = look(span.state);
        const title = svg("title", {}, `${row.service}: ${label} for ${length(((span.to ? Date.parse(span.to) : end) - Date.parse(span.from)) / 1000)}. ${span.cause}`);
        if (ENDS.has(span.state)) {
          picture.append(svg("circle", { class: `end tone-${tone}`, cx: from, cy: y + ROW / 2, r: 3.4 }, title));
        } else if (QUIET.has(span.state)) {
          if (to > from) picture.append(svg("rect", { class: `quiet tone-${tone}`, x: from, y: y + ROW / 2 - 1, width: to - from, height: 2 }, title));
        } else {
          picture.append(svg("rect", { class: `span tone-${tone}`, x: from, y: y + 4, width: Math.max(1.5, to - from), height: ROW - 8, rx: 2 }, title));
        }
      }
      if (on) {
        const busy = row.spans.filter((span) => !QUIET.has(span.state) && !ENDS.has(span.state) && !span.state.startsWith("rollback"));
        if (busy.length > 0) {
          const from = x(busy[0].from);
          picture.append(svg("rect", { class: "critical-span", x: from - 1, y: y + 2.5, width: Math.max(3, x(busy.at(-1).to ?? end) - from + 2), height: ROW - 5, rx: 3 }));
        }
      }
    });
    replace(chart, picture);
    replace(facts,
      `${data.ended_at ? "Took" : "Under way for"} ${length(total)}. `,
      data.critical_path.length > 1 && data.critical_path_seconds > 0 && `The longest chain needs ${length(data.critical_path_seconds)}: ${data.critical_path.join(" → ")}`);
    if (alternative.open || !data.drawnTable) drawTable();
  }

  function drawTable() {
    data.drawnTable = true;
    const sum = (row, states) => {
      const spans = row.spans.filter((span) => states.includes(span.state));
      const until = data.ended_at ?? data.now;
      const seconds = spans.reduce((all, span) => all + (Date.parse(span.to ?? until) - Date.parse(span.from)) / 1000, 0);
      return spans.length > 0 ? length(seconds) : "–";
    };
    replace(alternative, el("summary", {}, "The same as a table"), table({
      caption: "How long each service waited, synced and was verified",
      columns: [
        { name: "Service", cell: (row) => [row.service, data.critical_path.includes(row.service) && el("span", { class: "mark" }, "longest chain")] },
        { name: "Wave", cell: (row) => wave(row.wave) },
        { name: "Waiting", cell: (row) => sum(row, ["waiting"]) },
        { name: "Syncing", cell: (row) => sum(row, ["syncing", "retrying"]) },
        { name: "Verifying", cell: (row) => sum(row, ["verifying", "checking", "unhealthy"]) },
        { name: "Going back", cell: (row) => sum(row, ["rollback-waiting", "rollback-stopping", "rollback-syncing", "rollback-verifying", "rollback-retrying"]) },
        { name: "At last", cell: (row) => look(row.spans.at(-1)?.state ?? "waiting").label },
      ],
      rows: rows(),
    }));
  }

  const key = (tone, word) => el("span", { class: "key-of" }, el("span", { class: `swatch tone-${tone}` }), word);
  replace(node,
    el("div", { class: "tools" },
      el("span", { class: "legend" }, key("idle", "waiting"), key("busy", "syncing"), key("proof", "verifying"), key("warn", "retrying"), key("back", "going back"),
        el("span", { class: "key-of" }, el("span", { class: "swatch critical" }), "longest chain")),
      el("label", { class: "check" }, toggle, " also what is not touched")),
    chart, facts, alternative);

  return {
    async load() {
      await load();
      // What lasts grows, also while nothing moves.
      timer = setInterval(() => data && !data.ended_at && draw(), 1000);
    },
    update() {
      if (!data?.ended_at) reload();
    },
    close() {
      clearInterval(timer);
      observer.disconnect();
      reload.stop();
    },
  };
}
