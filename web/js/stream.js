// What happens, live: one stream for the whole page. It is read by fetch, because an EventSource cannot carry a token.

import { session } from "./session.js";

const SHORTEST = 500;
const LONGEST = 20_000;
/** After so long without a sign of life (the server gives one every 15 s) a connection counts as lost. */
const SILENCE = 40_000;

/** Reads events from text as it comes. */
export class Parser {
  #rest = "";

  /** Takes more text in, and gives the events that are complete. */
  take(text) {
    this.#rest += text;
    const events = [];
    for (let end = this.#rest.indexOf("\n\n"); end >= 0; end = this.#rest.indexOf("\n\n")) {
      const block = this.#rest.slice(0, end);
      this.#rest = this.#rest.slice(end + 2);
      const event = { type: "message", id: null, data: "" };
      for (const line of block.split("\n")) {
        const colon = line.indexOf(":");
        if (colon <= 0) continue;
        const value = line.slice(colon + 1).replace(/^ /, "");
        const field = line.slice(0, colon);
        if (field === "event") event.type = value;
        else if (field === "id") event.id = value;
        else if (field === "data") event.data += value;
      }
      if (event.data) events.push(event);
    }
    return events;
  }
}

/** The stream. Calls `onevent(type, data)` for each event and `onstate(word)` with `live`, `connecting` or `lost`. */
export class Live {
  #last = null;
  #failures = 0;
  #abort = null;
  #timer = null;
  #watch = null;

  constructor({ onevent, onstate }) {
    this.onevent = onevent;
    this.onstate = onstate;
  }

  start() {
    this.stop();
    this.#run();
  }

  stop() {
    clearTimeout(this.#timer);
    clearTimeout(this.#watch);
    this.#abort?.abort();
    this.#abort = null;
  }

  /** Tries again at once, such as when the network is back. */
  hurry() {
    if (this.#failures > 0) this.start();
  }

  #alive() {
    clearTimeout(this.#watch);
    const abort = this.#abort;
    this.#watch = setTimeout(() => abort?.abort(), SILENCE);
  }

  async #run() {
    const abort = new AbortController();
    this.#abort = abort;
    this.onstate(this.#failures > 0 ? "lost" : "connecting");
    try {
      const headers = { ...session.headers(), accept: "text/event-stream" };
      if (this.#last) headers["last-event-id"] = this.#last;
      this.#alive();
      const response = await fetch("/api/v1/events/stream", { headers, signal: abort.signal, credentials: "same-origin", cache: "no-store" });
      if (response.status === 401) {
        session.lost();
        return;
      }
      if (!response.ok || !response.body) throw new Error(`status ${response.status}`);
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      const parser = new Parser();
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        this.#alive();
        for (const event of parser.take(value)) this.#take(event);
      }
    } catch {
      // Whatever broke, what follows is the same: another try.
    }
    if (this.#abort === abort) this.#again();
  }

  #take(event) {
    if (event.id) this.#last = event.id;
    if (event.type === "ready") {
      const back = this.#failures > 0;
      this.#failures = 0;
      this.onstate("live");
      if (back) this.onevent("back", {});
      return;
    }
    let data;
    try {
      data = JSON.parse(event.data);
    } catch {
      return;
    }
    this.onevent(event.type, data);
  }

  #again() {
    this.#failures += 1;
    this.onstate("lost");
    const longest = Math.min(LONGEST, SHORTEST * 2 ** this.#failures);
    // With jitter, so that all pages do not come back in the same moment.
    this.#timer = setTimeout(() => this.#run(), longest / 2 + Math.random() * longest / 2);
  }
}
