// Tables, with caption and headings, and in pages where they are long.

import { append, el, replace } from "./el.js";

/**
 * A table. `columns` are `{name, cell(row), className, key}`, the first one names the row; `sort` is
 * `{by, down, set(key)}` where headings sort. With `stack`, rows of a
 * narrow window are as high as they need to be instead of wide.
 */
export function table({ caption, columns, rows, sort, rowClass, hidden = true, stack = false }) {
  const heading = (column) => {
    if (!sort || !column.key) return el("th", { scope: "col", class: column.className }, column.name);
    const active = sort.by === column.key;
    const order = active ? (sort.down ? "descending" : "ascending") : null;
    return el("th", { scope: "col", class: column.className, "aria-sort": order },
      el("button", { type: "button", class: "sort", onclick: () => sort.set(column.key) },
        column.name, el("span", { class: "arrow", "aria-hidden": "true" }, active ? (sort.down ? "↓" : "↑") : "")));
  };
  const line = (row) => el("tr", { class: rowClass?.(row) }, columns.map((column, at) =>
    el(at === 0 ? "th" : "td", { scope: at === 0 && "row", class: column.className }, column.cell(row))));
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    el("table", { class: stack && "stack" },
      el("caption", { class: hidden && "unseen" }, caption),
      el("thead", {}, el("tr", {}, columns.map(heading))),
      el("tbody", {}, rows.map(line))));
}

/** A wave as the cell of a table; where the heading is not shown, the word stands in front of the number. */
export function wave(number) {
  return number === null || number === undefined ? "shared" : el("span", {}, el("span", { class: "word" }, "wave "), number);
}

/** Buttons to go through pages. */
export function pager(page, pages, total, set) {
  if (pages <= 1) return null;
  return el("nav", { class: "pager", "aria-label": "Pages" },
    el("button", { type: "button", disabled: page === 0, onclick: () => set(page - 1) }, "Previous"),
    el("span", {}, `Page ${page + 1} of ${pages} · ${total} rows`),
    el("button", { type: "button", disabled: page >= pages - 1, onclick: () => set(page + 1) }, "Next"));
}

/**
 * A list that is loaded page by page from the API, with a button for more. `render(items, more)` draws what is there;
 * `more` says whether there may be more than that.
 */
export function growing(load, render) {
  const place = el("div", { class: "growing" });
  const state = { items: [], next: null };
  const more = el("button", { type: "button" }, "Show more");
  const fill = async (anew) => {
    const answer = await load(anew ? null : state.next);
    state.items = anew ? answer.items : [...state.items, ...answer.items];
    state.next = answer.next;
    replace(place, render(state.items, Boolean(state.next)));
    if (state.next) append(place, more);
  };
  more.addEventListener("click", () => fill(false).catch(() => null));
  return { place, reload: () => fill(true) };
}
