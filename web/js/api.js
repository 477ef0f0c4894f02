// The API: reading, and writing with all that a write has to bring.

import { session } from "./session.js";

/** What the server said instead of doing it (RFC 9457). */
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail ?? body.title ?? `the server answered ${status}`);
    this.status = status;
    this.title = body.title ?? "Problem";
    this.diagnostics = body.diagnostics ?? [];
    this.request = body.request_id;
  }
}

/** An address of the API with its parameters; those that are not set are left out. */
export function address(path, parameters = {}) {
  const given = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const query = new URLSearchParams(given).toString();
  return `/api/v1${path}${query ? `?${query}` : ""}`;
}

/** One part of a path. */
export const part = encodeURIComponent;

async function send(url, options) {
  let response;
  try {
    response = await fetch(url, { ...options, credentials: "same-origin", redirect: "error" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { title: "No answer", detail: "the server cannot be reached" });
  }
  if (response.ok) return response;
  const body = await response.json().catch(() => ({}));
  if (response.status === 401) session.lost();
  throw new Problem(response.status, body);
}

/** Reads something: its data and its tag. */
export async function read(path, parameters, signal) {
  const response = await send(address(path, parameters), { headers: session.headers(), signal });
  return { data: await response.json(), tag: response.headers.get("etag") };
}

/** Reads something. */
export async function get(path, parameters, signal) {
  return (await read(path, parameters, signal)).data;
}

/** Reads all pages of a list, up to a bound. */
export async function all(path, parameters, signal, most = 20) {
  const items = [];
  let cursor = null;
  for (let page = 0; page < most; page += 1) {
    const answer = await get(path, { limit: 500, ...parameters, cursor }, signal);
    items.push(...answer.items);
    cursor = answer.next;
    if (!cursor) break;
  }
  return items;
}

/** A place as views show it: its newest deployment, since when that stands where it does, and how far it is. */
export function place({ latest, progress, blocked }) {
  const { id: deployment, ended_at, started_at, created_at, ...rest } = latest;
  return { ...rest, deployment, since: ended_at ?? started_at ?? created_at, progress, blocked };
}

/** All customers and environments that can be seen. */
export const places = async (signal) => (await all("/customers", {}, signal)).map(place);

/** Writes something. The same `key` again is the same write; `tag` is that of what was looked at. */
export async function post(path, body, { key = crypto.randomUUID(), tag } = {}) {
  const headers = { ...session.headers(), ...session.proof(), "content-type": "application/json", "idempotency-key": key };
  if (tag) headers["if-match"] = tag;
  const response = await send(address(path), { method: "POST", headers, body: JSON.stringify(body) });
  return response.json();
}
