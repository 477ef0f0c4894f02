// The journal: every move of a deployment with its cause, the newest first.

import { get } from "../../api.js";
import { el, replace } from "../../el.js";
import { badge } from "../../state.js";
import { table } from "../../table.js";
import { moment } from "../../time.js";

const ROWS = 150;

export function journalTab({ node, model }) {
  const place = el("div");
  const filter = el("input", { type: "search", id: "journal-search", placeholder: "Filter by service, state or cause" });
  const fine = el("input", { type: "checkbox", id: "fine" });
  let moves = [];
  let most = ROWS;
  filter.addEventListener("input", draw);
  fine.addEventListener("change", draw);

  const flat = (at, transitions, input) => transitions.map((moved) => ({ at, ...moved, input }));

  async function load() {
    const story = await get(`${model.path}/journal`, {}, model.signal);
    moves = story.journal.flatMap((entry) => flat(entry.at, entry.transitions, entry.input)).reverse();
    draw();
  }

  function draw() {
    const text = filter.value.trim().toLowerCase();
    const rows = moves.filter((move) => (fine.checked || move.from !== move.to)
      && `${move.service ?? "deployment"} ${move.from} ${move.to} ${move.cause}`.toLowerCase().includes(text));
    replace(place,
      table({
        stack: true,
        caption: "Moves of the deployment, the newest first",
        columns: [
          { name: "When", cell: (row) => moment(row.at) },
          { name: "What", cell: (row) => (row.service ? row.service : el("strong", {}, "deployment")) },
          { name: "To", cell: (row) => badge(row.to) },
          { name: "Why", className: "wide", cell: (row) => [row.cause, row.input?.input === "command" && el("span", { class: "faint" }, ` (${row.input.command.command} by ${row.input.by}${row.input.command.reason ? `: ${row.input.command.reason}` : ""})`)] },
        ],
        rows: rows.slice(0, most),
      }),
      rows.length > most && el("button", {
        type: "button",
        onclick: () => {
          most += ROWS;
          draw();
        },
      }, `Show more of ${rows.length}`));
  }

  replace(node,
    el("p", { class: "tools" },
      el("label", { for: "journal-search", class: "unseen" }, "Filter the journal"), filter,
      el("label", { class: "check" }, fine, " also what was only seen")),
    place);
  return {
    load,
    event(data) {
      moves = [...flat(data.at, data.transitions).reverse(), ...moves];
      draw();
    },
  };
}
