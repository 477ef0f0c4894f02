// What can be asked of a deployment, each with a question before it that says what will happen. What it says is
// computed by the server, from the deployment as it is at that moment.

import { get, part, post, read } from "./api.js";
import { ask } from "./dialog.js";
import { el } from "./el.js";
import { notice } from "./notice.js";
import { look } from "./state.js";

const OVER = ["succeeded", "failed", "aborted", "superseded", "rejected"];

/** The commands, with the states in which they make sense. */
export const COMMANDS = [
  { word: "approve", name: "Approve", states: ["awaiting-approval"], tone: "main", what: "The plan is agreed to and carried out in this order of waves:" },
  { word: "reject", name: "Reject", states: ["awaiting-approval"], tone: "danger", reason: "Why", what: "Nothing is deployed; the plan is refused." },
  { word: "pause", name: "Pause", states: ["running", "rolling-back"], what: "Nothing new is started. What is in flight goes on to its verdict." },
  { word: "resume", name: "Resume", states: ["paused"], tone: "main", what: "The deployment goes on. Still to come:" },
  { word: "rollback", name: "Roll back", states: ["running", "paused", "stopping"], tone: "danger", reason: "Why", what: "Everything that this deployment advanced is taken back, dependants first:" },
  { word: "abort", name: "Abort", states: ["queued", "awaiting-approval", "running", "paused", "rolling-back"], tone: "danger", reason: "Why", what: "Nothing more is started, and everything is left as it is. What runs in Argo CD goes on to its end there." },
  { word: "retry", name: "Retry", states: ["running", "paused", "rolling-back", ...OVER.filter((state) => state !== "succeeded" && state !== "rejected")], what: "What failed is tried again:" },
];

const SKIP = { word: "skip", name: "Skip", tone: "danger", what: "The deployment does without this service, and those that wait for it go on." };

/** The commands that make sense in a state. */
export function commandsFor(state) {
  return COMMANDS.filter((command) => command.states.includes(state));
}

/** The commands for one service, by where it and its deployment stand. */
export function commandsForService(deployment, state) {
  const active = ["running", "paused"].includes(deployment);
  const found = [];
  if (state === "failed" || (OVER.includes(deployment) && ["rolled-back", "kept", "rollback-failed"].includes(state))) {
    found.push({ ...COMMANDS.find((command) => command.word === "retry"), service: true });
  }
  if (active && ["failed", "waiting", "unhealthy", "retrying"].includes(state)) found.push({ ...SKIP, service: true });
  return found;
}

function body(command, service) {
  switch (command.word) {
    case "retry":
      return service ? { service } : {};
    case "skip":
      return { service };
    default:
      return {};
  }
}

/** Asks whether a command is meant, and gives it. True once it is on its way. */
export async function give(command, id, service) {
  const path = `/deployments/${part(id)}`;
  const [{ data: deployment, tag }, preview] = await Promise.all([
    read(path),
    get(`${path}/preview`, { command: command.word, service }),
  ]);
  const name = service ? `${command.name} ${service}` : `${command.name} ${deployment.customer} ${deployment.environment}`;
  const key = crypto.randomUUID();
  const done = await ask({
    title: `${name}?`,
    body: consequences(command, deployment, preview),
    confirm: service ? name : command.name,
    tone: command.tone ?? "main",
    field: command.reason,
    refused: preview.refused,
    act: (text) => {
      const given = body(command, service);
      if (command.reason && text) given.reason = text;
      if (command.word === "approve") given.plan = deployment.plan;
      // A deployment that runs moves all the time; what stands still is meant as it was looked at.
      const still = ["awaiting-approval", "paused", ...OVER].includes(deployment.state);
      return post(`${path}/${command.word}`, given, { key, tag: still ? tag : null }).then((answer) => {
        notice(answer.event ? `${name}: asked for as ${answer.event}` : `${name}: on its way`);
      });
    },
  });
  return done !== null;
}

/** What a command will do, in words and as a list in order. */
function consequences(command, deployment, preview) {
  if (preview.refused) return el("p", {}, `${deployment.customer} ${deployment.environment} is ${look(preview.from).label}.`);
  const moved = preview.services.filter((service) => service.turn !== null || service.revision);
  const left = preview.services.filter((service) => service.turn === null && !service.revision);
  const anew = preview.anew && el("p", {}, `This deployment is over, so a new one of the same commit ${deployment.revision.slice(0, 8)} is asked for. What it does is planned when it is made; what is not healthy there yet:`);
  const lines = moved.map((service) => el("li", {},
    el("strong", {}, service.service),
    service.wave !== null && el("span", { class: "faint" }, ` wave ${service.wave}`),
    service.revision ? [" to ", el("code", { title: service.revision }, service.revision.slice(0, 8))] : el("span", { class: "faint" }, ` ${service.cause}`)));
  return [
    anew || el("p", {}, command.what),
    preview.to !== preview.from && el("p", { class: "faint" }, `${look(preview.from).label} → ${look(preview.to).label}`),
    moved.length > 0 && el("p", {}, `${moved.length} ${moved.length === 1 ? "service" : "services"}:`),
    lines.length > 0 && el("ol", { class: "turns" }, lines),
    left.length > 0 && el("details", {}, el("summary", {}, `${left.length} more ${left.length === 1 ? "service changes its" : "services change their"} state`),
      el("ul", { class: "turns" }, left.map((service) => el("li", {}, el("strong", {}, service.service), ` ${look(service.from).label} → ${look(service.to).label}: ${service.cause}`)))),
    moved.length === 0 && left.length === 0 && command.word !== "pause" && command.word !== "abort" && command.word !== "reject" && el("p", {}, "No service is moved by it."),
  ];
}
