// Times and lengths in words.

import { el } from "./el.js";

/** A length in seconds, short: `850 ms`, `12.4 s`, `3 min 20 s`, `2 h 5 min`, `3 d`. */
export function length(seconds) {
  if (!Number.isFinite(seconds) || seconds < 0) return "–";
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return minutes < 10 ? `${minutes} min ${Math.floor(seconds % 60)} s` : `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d`;
}

/** Seconds between two times of the API; until now without a second one. */
export function between(from, to) {
  return ((to ? Date.parse(to) : Date.now()) - Date.parse(from)) / 1000;
}

const full = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

/** A moment, as how long ago; the full date is its tooltip. `tick` keeps it up to date. */
export function ago(at) {
  if (!at) return "–";
  return el("time", { datetime: at, title: full.format(new Date(at)), "data-ago": at }, words(at));
}

/** A moment of the day; the full date is its tooltip. */
export function moment(at) {
  if (!at) return "–";
  return el("time", { datetime: at, title: full.format(new Date(at)) }, clock.format(new Date(at)));
}

function words(at) {
  const seconds = between(at);
  if (seconds < 1) return "now";
  return seconds < 60 ? `${Math.floor(seconds)} s ago` : `${length(Math.round(seconds))} ago`;
}

/** Brings all moments on the page up to date, once in a while. */
export function tick() {
  for (const node of document.querySelectorAll("time[data-ago]")) {
    const text = words(node.dataset.ago);
    if (node.textContent !== text) node.textContent = text;
  }
}
