// Beside the graph: one service, what it waits for, its history and where Argo CD shows it.

import { get, part } from "../../api.js";
import { commandsForService, roleOf } from "../../commands.js";
import { el, link, replace } from "../../el.js";
import { icon } from "../../icon.js";
import { byRights, needs } from "../../rights.js";
import { badge } from "../../state.js";
import { ago } from "../../time.js";

export function panel(model, go) {
  const node = el("aside", { class: "side", "aria-label": "The service that is looked at" });
  const histories = new Map();
  let shown = null;
  let wanted = null;
  let last = "";

  function hint() {
    const counts = new Map();
    for (const service of model.deployment.services) counts.set(service.state, (counts.get(service.state) ?? 0) + 1);
    return [
      el("h2", {}, "Services"),
      el("ul", { class: "counts" }, [...counts].sort((a, b) => b[1] - a[1]).map(([state, count]) => el("li", {}, badge(state), el("span", {}, count)))),
      el("p", { class: "faint" }, "Point at a service, or move to it with the arrow keys, to see what it waits for, its history and its place in Argo CD."),
    ];
  }

  function names(title, list) {
    return list.length > 0 && el("div", { class: "names" }, el("h3", {}, `${title} (${list.length})`),
      el("ul", {}, list.map((name) => {
        const state = model.deployment.services.find((one) => one.service === name)?.state;
        return el("li", {}, el("button", { type: "button", class: "text", onclick: () => go(name) }, name), state && badge(state));
      })));
  }

  function draw(known) {
    const service = model.deployment.services.find((one) => one.service === shown);
    const text = JSON.stringify([shown, service?.state, model.waiting.get(shown)?.text, histories.get(shown)?.length, model.deployment.state]);
    if (text === last && shown) return;
    last = text;
    if (!service) {
      replace(node, hint());
      return;
    }
    const application = known?.byService.get(shown);
    const wait = model.waiting.get(shown);
    const edges = known?.picture.edges ?? [];
    const { offered, withheld } = byRights(commandsForService(model.deployment.state, service.state), roleOf, model.deployment.customer);
    replace(node,
      el("h2", {}, shown),
      el("p", {}, badge(service.state), " ", el("span", { class: "faint" }, service.wave === null ? "shared part" : `wave ${service.wave}`, " · ", ago(service.since))),
      wait && el("p", { class: "why" }, el("strong", {}, "Waits: "), wait.text),
      service.detail && el("p", { class: "why" }, service.detail),
      el("p", {}, el("span", { class: "faint" }, "Planned: "), service.action, service.reasons.length > 0 && ` (${service.reasons.join("; ")})`),
      application && el("p", {}, el("span", { class: "faint" }, "Argo CD: "),
        application.link ? link(application.link, application.application, " ", icon("out")) : el("code", {}, application.application)),
      offered.length > 0 && el("div", { class: "buttons" }, offered.map((command) =>
        el("button", { type: "button", class: command.tone ?? "", onclick: () => model.press(command, shown) }, `${command.name} ${shown}`))),
      needs(withheld),
      names("Needs", edges.filter((edge) => edge.service === shown).map((edge) => edge.depends_on)),
      names("Needed by", edges.filter((edge) => edge.depends_on === shown).map((edge) => edge.service)),
      history());
  }

  function history() {
    const runs = histories.get(shown);
    if (!runs) return null;
    return el("div", { class: "names" }, el("h3", {}, "History"), el("ul", {}, runs.slice(0, 8).map((run) => el("li", {},
      el("a", { href: `#/deployments/${part(run.deployment)}` }, el("code", {}, run.revision.slice(0, 8))),
      badge(run.state), el("span", { class: "faint" }, ago(run.created_at))))));
  }

  async function fetchHistory(name, known) {
    const { customer, environment } = model.deployment;
    // A service that is only passed over by the pointer is not asked for.
    await new Promise((resolve) => setTimeout(resolve, 200));
    if (wanted !== name || histories.has(name)) return;
    const answer = await get(`/customers/${part(customer)}/services/${part(name)}/history`, { environment, limit: 20 }, model.signal).catch(() => null);
    if (!answer) return;
    histories.set(name, answer.items);
    if (shown === name) draw(known);
  }

  return {
    node,
    show(name, known) {
      shown = name;
      wanted = name;
      last = "";
      draw(known);
      if (name) fetchHistory(name, known);
    },
    update: (known) => draw(known),
  };
}
