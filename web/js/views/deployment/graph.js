// The graph of a deployment, live, with what there is to say about the service that is looked at.

import { get } from "../../api.js";
import { el, replace } from "../../el.js";
import { graph } from "../../graph.js";
import { isDone } from "../../done.js";
import { panel } from "./panel.js";

const waveName = (wave) => (wave === null ? "shared" : `wave ${wave}`);

export function graphTab({ node, model }) {
  let drawn = null;
  let known = null;
  let hash = null;
  let chosen = model.selected;
  const side = panel(model, (name) => choose(name, true));
  const canvas = el("div", { class: "canvas" });

  function select(name, kind) {
    if (kind === "hover") look(name ?? chosen);
    else choose(name, false);
  }

  function choose(name, focus) {
    chosen = name;
    model.selected = name;
    if (focus) drawn.focus(name);
    look(name);
  }

  function look(name) {
    drawn?.highlight(name);
    side.show(name, known);
  }

  function paint() {
    if (!drawn) return;
    const waves = new Map();
    for (const service of model.deployment.services) {
      drawn.set(service.service, service.state);
      const wave = waves.get(service.wave) ?? { done: 0, all: 0 };
      wave.all += 1;
      wave.done += Number(isDone(service, model.deployment.purpose));
      waves.set(service.wave, wave);
    }
    for (const [wave, { done, all }] of waves) drawn.wave(wave, `${done}/${all}`);
    drawn.offerWaves(model.waves());
  }

  async function load() {
    const { plan, ended_at, customer, environment, revision, services } = model.deployment;
    if (services.length === 0) {
      const query = new URLSearchParams({ customer, environment, revision });
      replace(node, el("div", { class: "empty" }, el("h2", {}, "Nothing was planned"), el("p", {}, "The values of this commit cannot be deployed. ", el("a", { href: `#/dependencies?${query}` }, "Their dependencies as a graph"))));
      return;
    }
    hash = `${plan} ${ended_at}`;
    known = await get(`${model.path}/graph`, {}, model.signal);
    known.byService = new Map(known.applications.map((one) => [one.service, one]));
    drawn = graph(known.picture, {
      label: "Services by wave. Arrow keys move between them; the tab Services has the same as a table",
      onselect: select,
      onwave: (wave) => model.backWave(wave),
      waveName,
      describe: (name, word) => {
        const service = model.deployment.services.find((one) => one.service === name);
        const wait = model.waiting.get(name);
        return `${name}, ${waveName(service?.wave ?? null)}, ${word}${wait ? `, ${wait.text}` : ""}`;
      },
    });
    replace(canvas, drawn.node);
    paint();
    look(chosen);
    drawn.reveal(canvas);
  }

  replace(node,
    el("div", { class: "beside" }, canvas, side.node),
    el("p", { class: "legend faint" },
      el("span", { class: "pair" }, el("span", { class: "key critical" }), "the chain that takes longest"),
      el("span", { class: "pair" }, el("span", { class: "key plain" }), "must be healthy before"),
      el("span", { class: "pair" }, el("span", { class: "key implied" }), "follows from others")));

  return {
    load,
    update() {
      const { plan, ended_at } = model.deployment;
      if (hash !== null && hash !== `${plan} ${ended_at}`) load();
      paint();
      side.update(known);
    },
    event: () => {
      paint();
      side.update(known);
    },
  };
}
