// The services that something would move, in the order of their turns.

import { el } from "./el.js";
import { look } from "./state.js";

/**
 * What the server foresees for services: those that are moved, as a list in order, and the others folded away. With
 * `stay` these are left as they are, instead of changing their state.
 */
export function affected(services, { stay = false } = {}) {
  const moved = services.filter((service) => service.turn !== null || service.revision);
  const left = services.filter((service) => service.turn === null && !service.revision);
  const together = new Set(moved.map((service) => service.turn)).size < moved.length && moved[0].turn !== null;
  const lines = moved.map((service) => el("li", { value: service.turn },
    el("strong", {}, service.service),
    service.wave !== null && el("span", { class: "faint" }, ` wave ${service.wave}`),
    service.revision ? [" to ", el("code", { title: service.revision }, service.revision.slice(0, 8))] : el("span", { class: "faint" }, ` ${service.cause}`)));
  const change = (service) => (stay || service.from === service.to ? "" : ` ${look(service.from).label} → ${look(service.to).label}`);
  const what = stay
    ? (left.length === 1 ? "service is left as it is" : "services are left as they are")
    : (left.length === 1 ? "service changes its state" : "services change their state");
  return [
    moved.length > 0 && el("p", {}, `${moved.length} ${moved.length === 1 ? "service" : "services"}${together ? ", those with the same number together" : ""}:`),
    lines.length > 0 && el("ol", { class: "turns" }, lines),
    left.length > 0 && el("details", {}, el("summary", {}, `${left.length} more ${what}`),
      el("ul", { class: "turns" }, left.map((service) => el("li", {}, el("strong", {}, service.service), `${change(service)}: ${service.cause}`)))),
  ];
}
