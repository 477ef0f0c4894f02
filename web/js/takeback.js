// Asking for what was there before: a service, or a whole wave. What it would do is told by the server.

import { get, part, post } from "./api.js";
import { affected } from "./affected.js";
import { ask } from "./dialog.js";
import { el } from "./el.js";
import { notice } from "./notice.js";

/** Asks whether a rollback of `{customer, environment, service | wave}` is meant, and asks for it. True once it is. */
export async function takeBack({ customer, environment, service, wave }) {
  const preview = await get("/rollback/preview", { customer, environment, service, wave });
  const what = service ?? `wave ${wave}`;
  const key = crypto.randomUUID();
  const moves = preview.services.some((one) => one.turn !== null);
  const path = service ? `/rollback/services/${part(service)}` : `/rollback/wave/${wave}`;
  const done = await ask({
    title: `Roll back ${what}?`,
    body: preview.refused ? el("p", {}, `${customer} ${environment}`) : [
      el("p", {}, `A deployment of its own takes ${what} of ${customer} ${environment} back to what ${service ? "it" : "its services"} last ran healthily before what ${service ? "it runs" : "they run"} now, dependants first. Nothing else is moved.`),
      preview.needs_approval && el("p", {}, "It waits for an approval before it starts."),
      preview.behind.length > 0 && el("p", {}, `It waits until ${preview.behind.length === 1 ? "the deployment that is" : `the ${preview.behind.length} deployments that are`} not over yet ${preview.behind.length === 1 ? "is" : "are"}.`),
      affected(preview.services, { stay: true }),
    ],
    confirm: `Roll back ${what}`,
    tone: "danger",
    refused: preview.refused ?? (moves ? null : "nothing of it ran anything else healthily before"),
    act: async () => {
      const answer = await post(path, { customer, environment }, { key });
      notice(`Rollback of ${what}: asked for as ${answer.event}`);
    },
  });
  return done !== null;
}
