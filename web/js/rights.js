// What is not offered because the caller may not do it, and why.

import { el } from "./el.js";
import { session } from "./session.js";

/** Parts what could be asked for by the roles of the caller: `offered`, and `withheld` as `{name, reason}`. */
export function byRights(items, roleOf, customer) {
  const offered = [];
  const withheld = [];
  for (const item of items) {
    const lacks = session.lacks(roleOf(item), customer);
    if (lacks) withheld.push({ name: item.name, reason: lacks });
    else offered.push(item);
  }
  return { offered, withheld };
}

/** A line for people: which things need what. Null where nothing is withheld. */
export function needs(withheld) {
  if (withheld.length === 0) return null;
  const byReason = new Map();
  for (const { name, reason } of withheld) byReason.set(reason, [...(byReason.get(reason) ?? []), name]);
  const sentence = ([reason, names]) => `${list(names)} ${names.length === 1 ? "needs" : "need"} ${reason}`;
  return el("p", { class: "rights faint" }, [...byReason].map(sentence).join(". "), ".");
}

function list(names) {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}
