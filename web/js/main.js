// The beginning: the bar on top, which view is shown, and what happens, handed to it.

import { el, replace } from "./el.js";
import { login } from "./login.js";
import { failure, notice } from "./notice.js";
import { session } from "./session.js";
import { Live } from "./stream.js";
import { theme } from "./theme.js";
import { tick } from "./time.js";
import { overview } from "./views/overview.js";
import { deployment } from "./views/deployment.js";
import { dependencies } from "./views/dependencies.js";
import { health } from "./views/health.js";
import { rollbacks } from "./views/rollbacks.js";
import { events } from "./views/events.js";
import { audit } from "./views/audit.js";

const VIEWS = [
  { path: "", name: "Overview", make: overview },
  { path: "deployments", make: deployment },
  { path: "dependencies", name: "Dependencies", make: dependencies },
  { path: "health", name: "Health", make: health },
  { path: "rollbacks", name: "Rollbacks", make: rollbacks },
  { path: "events", name: "Events", make: events },
  { path: "audit", name: "Audit", make: audit },
];

const main = document.getElementById("main");
let shown = null;
let abort = new AbortController();

/** Where the page is: the parts of the path, and the parameters. */
function place() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  return { parts: path.split("/").filter(Boolean).map(decodeURIComponent), query: new URLSearchParams(query) };
}

function drawBar(current) {
  const links = VIEWS.filter((view) => view.name).map((view) =>
    el("a", { href: `#/${view.path}`, "aria-current": view === current && "page" }, view.name));
  replace(document.getElementById("nav"), session.needed ? [] : links);
  const who = document.getElementById("who");
  const name = session.me?.name;
  replace(who,
    name && name !== "local" && el("span", { class: "faint who", title: `signed in by ${session.me.via}` }, name),
    session.canLeave && el("button", { type: "button", class: "quiet", onclick: () => session.leave() }, "Log out"));
}

async function show(byUser) {
  const { parts, query } = place();
  const current = VIEWS.find((view) => view.path === (parts[0] ?? "")) ?? VIEWS[0];
  // The view that is there may take in that only its own part of the address changed.
  if (shown?.view === current && shown.instance.moved?.(parts, query)) {
    drawBar(current);
    return;
  }
  abort.abort();
  abort = new AbortController();
  shown?.instance.close?.();
  shown = null;
  drawBar(current);
  if (session.needed) {
    await login(main, () => begin(), parts[0] === "login" ? query : undefined);
    return;
  }
  if (session.me && session.me.grants.length === 0) {
    shown = { view: current, instance: {} };
    title("Nothing to see");
    replace(main, el("div", { class: "empty" }, el("h1", {}, "Nothing to see"), el("p", {}, `You are logged in as ${session.me.name}, but no group of yours has a role here. Ask whoever runs this server for one.`)));
    return;
  }
  const node = el("div", { class: "view" });
  const instance = current.make({ node, parts, query, signal: abort.signal });
  shown = { view: current, instance };
  replace(main, node);
  title(instance.title ?? current.name);
  if (byUser) main.focus({ preventScroll: true });
  if (byUser) scrollTo(0, 0);
  await load(instance, node);
}

async function load(instance, node) {
  const signal = abort.signal;
  try {
    await instance.load();
    if (!signal.aborted) title(instance.title);
  } catch (error) {
    if (signal.aborted || error.name === "AbortError") return;
    if (session.needed) show(false);
    else replace(node, el("h1", {}, instance.title), failure(error, () => load(instance, node)));
  }
}

function title(text) {
  document.title = text ? `${text} · argocd-orchestrator` : "argocd-orchestrator";
}

const live = new Live({
  onevent(type, data) {
    if (type === "reset" || type === "back") shown?.instance.refresh?.();
    else shown?.instance.event?.(type, data);
  },
  onstate(state) {
    const words = { live: "Live", connecting: "Connecting…", lost: "Connection lost, trying again" };
    const sign = document.getElementById("live");
    if (sign.dataset.state === state) return;
    sign.dataset.state = state;
    replace(sign, el("span", { class: "dot", "aria-hidden": "true" }), el("span", { class: "words" }, words[state]));
    document.body.classList.toggle("stale", state === "lost");
  },
});

async function begin() {
  const ok = await session.start();
  if (ok) {
    live.start();
  } else {
    live.stop();
  }
  await show(false);
}

addEventListener("hashchange", () => show(true));
addEventListener("keydown", (event) => {
  // As in many lists: a slash goes to the search, unless somebody is writing.
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("input, select, textarea, dialog")) return;
  const search = main.querySelector("input[type=search]");
  if (!search) return;
  event.preventDefault();
  search.focus();
});
addEventListener("online", () => live.hurry());
addEventListener("pagehide", () => live.stop());
addEventListener("pageshow", (event) => event.persisted && live.start());
addEventListener("unhandledrejection", (event) => {
  if (event.reason?.name === "AbortError" || event.reason?.status === 401) event.preventDefault();
  else if (event.reason?.status !== undefined) {
    event.preventDefault();
    notice(event.reason.message, "bad");
  }
});
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
session.onchange(() => {
  if (!session.needed || !shown) return;
  live.stop();
  show(false);
});
theme(document.getElementById("theme"));
setInterval(tick, 1000);
begin();

