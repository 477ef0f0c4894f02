// What can be asked of a deployment, each with a question before it that says what will happen. What it says is
// computed by the server, from the deployment as it is at that moment.

import { get, part, post, read } from "./api.js";
import { affected } from "./affected.js";
import { ask } from "./dialog.js";
import { el } from "./el.js";
import { notice } from "./notice.js";
import { look } from "./state.js";

const OVER = ["succeeded", "failed", "aborted", "superseded", "rejected"];

/** The commands, with the states in which they make sense and the role that they need. */
export const COMMANDS = [
  { word: "approve", name: "Approve", states: ["awaiting-approval"], role: "approver", tone: "main", what: "The plan is agreed to and carried out in this order of waves:" },
  { word: "reject", name: "Reject", states: ["awaiting-approval"], role: "approver", tone: "danger", reason: "Why", what: "Nothing is deployed; the plan is refused." },
  { word: "pause", name: "Pause", states: ["running", "rolling-back"], what: "Nothing new is started. What is in flight goes on to its verdict." },
  { word: "resume", name: "Resume", states: ["paused"], tone: "main", what: "The deployment goes on. Still to come:" },
  { word: "rollback", name: "Roll back", states: ["running", "paused"], tone: "danger", reason: "Why", what: "Everything that this deployment advanced is taken back, dependants first:" },
  { word: "abort", name: "Abort", states: ["queued", "awaiting-approval", "running", "paused", "rolling-back"], tone: "danger", reason: "Why", what: "Nothing more is started, and everything is left as it is. What runs in Argo CD goes on to its end there." },
  { word: "retry", name: "Retry", states: ["running", "paused", "rolling-back", ...OVER.filter((state) => state !== "succeeded" && state !== "rejected")], what: "What failed is tried again:" },
];

const SKIP = { word: "skip", name: "Skip", tone: "danger", what: "The deployment does without this service, and those that wait for it go on." };

/** Whether a deployment in this state is over. */
export const isOver = (state) => OVER.includes(state);

/** The role that a command needs. */
export const roleOf = (command) => command.role ?? "operator";

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
      // A deployment that runs, or is paused with something in flight, moves all the time; what stands still is meant as
      // it was looked at.
      const still = ["awaiting-approval", ...OVER].includes(deployment.state);
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
  const anew = preview.anew && el("p", {}, `This deployment is over, so a new one of the same commit ${deployment.revision.slice(0, 8)} is asked for. What it does is planned when it is made; what is not healthy there yet:`);
  return [
    anew || el("p", {}, command.what),
    preview.to !== preview.from && el("p", { class: "faint" }, `${look(preview.from).label} → ${look(preview.to).label}`),
    affected(preview.services),
    preview.services.length === 0 && !["pause", "abort", "reject"].includes(command.word) && el("p", {}, "No service is moved by it."),
  ];
}
