// What states are called, and how they look: a word, a picture and a tone each, so that colour never stands alone.

import { el } from "./el.js";
import { icon } from "./icon.js";

const LOOKS = {
  queued: ["idle", "ring", "queued"],
  waiting: ["idle", "ring", "waiting"],
  "awaiting-approval": ["warn", "hand", "awaiting approval"],
  running: ["busy", "arc", "running"],
  checking: ["busy", "eye", "checking"],
  syncing: ["busy", "arc", "syncing"],
  verifying: ["proof", "eye", "verifying"],
  retrying: ["warn", "again", "retrying"],
  paused: ["warn", "pause", "paused"],
  stopping: ["warn", "pause", "stopping"],
  healthy: ["good", "check", "healthy"],
  succeeded: ["good", "check", "succeeded"],
  planned: ["good", "check", "planned"],
  accepted: ["busy", "arc", "accepted"],
  unhealthy: ["bad", "bang", "unhealthy"],
  failed: ["bad", "cross", "failed"],
  rejected: ["bad", "cross", "rejected"],
  aborted: ["bad", "cross", "aborted"],
  superseded: ["idle", "minus", "superseded"],
  ignored: ["idle", "minus", "ignored"],
  skipped: ["idle", "minus", "skipped"],
  kept: ["warn", "bang", "kept as it is"],
  "rolling-back": ["back", "back", "rolling back"],
  "rollback-waiting": ["back", "ring", "waits to go back"],
  "rollback-stopping": ["back", "pause", "stopping its sync"],
  "rollback-syncing": ["back", "arc", "syncing back"],
  "rollback-verifying": ["back", "eye", "verifying the way back"],
  "rollback-retrying": ["back", "again", "retrying the way back"],
  "rolled-back": ["back", "back", "rolled back"],
  "rollback-failed": ["bad", "bang", "rollback failed"],
  // What Argo CD says.
  Healthy: ["good", "check", "Healthy"],
  Synced: ["good", "check", "Synced"],
  Progressing: ["busy", "arc", "Progressing"],
  OutOfSync: ["warn", "bang", "OutOfSync"],
  Suspended: ["warn", "pause", "Suspended"],
  Degraded: ["bad", "cross", "Degraded"],
  Missing: ["bad", "bang", "Missing"],
  Unknown: ["idle", "ring", "Unknown"],
};

const MOVING = new Set(["running", "syncing", "checking", "rolling-back", "rollback-syncing", "accepted"]);

/** How a state looks: its tone, picture and words. */
export function look(word) {
  const [tone, picture, label] = LOOKS[word] ?? ["idle", "ring", word];
  return { tone, picture, label, moves: MOVING.has(word) };
}

/** A state as a badge: picture and word. */
export function badge(word) {
  const { tone, picture, label, moves } = look(word);
  return el("span", { class: `badge tone-${tone}` }, icon(picture, moves ? "turns" : ""), label);
}

/** Counts by state as one bar, with the counts in words beside it. */
export function bar(states, total, label) {
  const order = ["good", "proof", "busy", "back", "warn", "bad", "idle"];
  const byTone = new Map(order.map((tone) => [tone, 0]));
  for (const [word, count] of Object.entries(states)) {
    const { tone } = look(word);
    byTone.set(tone, byTone.get(tone) + count);
  }
  const parts = order.filter((tone) => byTone.get(tone) > 0).map((tone) => {
    const part = el("span", { class: `part tone-${tone}` });
    part.style.flexGrow = byTone.get(tone);
    return part;
  });
  const words = Object.entries(states).map(([word, count]) => `${count} ${look(word).label}`).join(", ");
  return el("span", { class: "meter", role: "img", "aria-label": `${label}: ${words || `${total} services`}`, title: words }, parts);
}
