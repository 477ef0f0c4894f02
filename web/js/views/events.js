// What arrived and what became of it, and what could never succeed.

import { get, part, post } from "../api.js";
import { ask } from "../dialog.js";
import { diagnostics } from "../diagnostics.js";
import { el, replace } from "../el.js";
import { later } from "../later.js";
import { notice } from "../notice.js";
import { needs } from "../rights.js";
import { session } from "../session.js";
import { badge } from "../state.js";
import { growing, table } from "../table.js";
import { ago } from "../time.js";

const MOST = 4000;

export function events({ node, signal }) {
  const list = growing((cursor) => get("/events", { cursor }, signal), (items) => (items.length === 0
    ? el("div", { class: "empty" }, "Nothing arrived yet.")
    : table({
      stack: true,
      caption: "Events, the newest first",
      columns: [
        { name: "Event", cell: (row) => el("code", { class: "short", title: row.id }, row.id) },
        { name: "Arrived", cell: (row) => ago(row.received_at) },
        { name: "Asked for", className: "wide", cell: (row) => [row.request.kind, " ", el("span", { class: "faint" }, about(row.request))] },
        { name: "By", className: "spare", cell: (row) => row.request.requested_by },
        { name: "Became", cell: (row) => badge(row.state) },
        { name: "Led to", className: "wide", cell: (row) => [row.reason, row.diagnostics?.length > 0 && diagnostics(row.diagnostics), row.deployments.map((id) => [" ", el("a", { href: `#/deployments/${part(id)}` }, id)])] },
      ],
      rows: items,
    })));

  const letters = growing((cursor) => get("/dead-letters", { cursor }, signal), (items) => (items.length === 0
    ? el("div", { class: "empty" }, "None: everything that arrived could be understood.")
    : items.map((letter) => el("article", { class: "card" },
      el("h3", {}, el("code", { class: "break" }, letter.id)),
      el("p", { class: "faint" }, "arrived ", ago(letter.received_at), letter.count > 1 && [`, ${letter.count} times, last `, ago(letter.last_at)]),
      diagnostics(letter.faults),
      el("details", {}, el("summary", {}, "What was sent"),
        el("h4", {}, "Resource"), text(letter.resource), el("h4", {}, "Payload"), text(letter.payload)),
      session.lacks("admin")
        ? needs([{ name: "Replaying it", reason: session.lacks("admin") }])
        : el("p", {}, el("button", { type: "button", "aria-label": `Replay ${letter.id}`, onclick: () => replay(letter) }, "Replay"))))));

  function text(value) {
    const cut = value.length > MOST ? `${value.slice(0, MOST)}… (${value.length} characters)` : value;
    return el("pre", { tabindex: "0" }, cut || "nothing");
  }

  function about(request) {
    const trigger = request.trigger;
    const place = [request.customer, request.environment, request.service, request.wave !== null && request.wave !== undefined && `wave ${request.wave}`].filter(Boolean).join(" ");
    if (trigger?.trigger === "push") return `push to ${trigger.repository} ${trigger.reference.replace("refs/heads/", "")} at ${trigger.after.slice(0, 8)}`;
    return place || request.source;
  }

  async function replay(letter) {
    await ask({
      title: "Replay it?",
      body: el("p", {}, "It is read once more as it was sent. What is right with it by now becomes an event, and the dead letter is gone; what is still wrong stays here with what is wrong."),
      confirm: "Replay",
      act: async () => {
        const answer = await post(`/dead-letters/${part(letter.id)}/replay`, {});
        notice(answer.event ? `It became ${answer.event}` : "It was read again");
        reload();
      },
    });
  }

  // Who may see events may not see what belongs to nobody.
  const read = async () => {
    const lacks = session.lacks("operator");
    if (lacks) replace(letters.place, el("div", { class: "empty" }, `They may be about anybody: reading them needs ${lacks}.`));
    else await letters.reload();
  };
  const load = () => Promise.all([list.reload(), read()]);
  const reload = later(load, 1500);
  replace(node,
    el("div", { class: "head" }, el("h1", {}, "Events")), list.place,
    el("h2", { id: "dead" }, "Dead letters"),
    el("p", { class: "faint" }, "Requests that could not succeed, with all that is wrong with them. Nothing is lost."),
    letters.place);
  return { title: "Events", load, refresh: reload, event: (type) => type === "created" && reload(), close: () => reload.stop() };
}
