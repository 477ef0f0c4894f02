// Logging in: by the organisation's own login where there is one, or by a token.

import { el, replace } from "./el.js";
import { session } from "./session.js";

/** Why a login by the organisation's login did not work; the server says which of these it is. */
const FAILED = {
  refused: "The login was refused, or it took too long. Try again, or ask whoever runs your organisation's login.",
  unavailable: "Your organisation's login does not answer now. Try again in a while.",
  absent: "There is no login by your organisation here.",
};

/** Shows the ways to log in, and why the last try failed; `done` is called once one worked. */
export async function login(place, done, query = new URLSearchParams()) {
  const ways = await session.ways();
  const wrong = el("p", { class: "wrong", role: "alert" });
  const field = el("input", { type: "password", id: "token", name: "token", autocomplete: "off", spellcheck: "false", required: true });
  const form = el("form", {
    onsubmit: async (event) => {
      event.preventDefault();
      replace(wrong);
      const ok = await session.use(field.value.trim());
      field.value = "";
      if (ok) done();
      else replace(wrong, "The server does not know this token.");
    },
  },
  el("label", { for: "token" }, "Token"),
  field,
  el("p", { class: "faint" }, "It stays in the memory of this page: reloading forgets it."),
  wrong,
  el("button", { type: "submit", class: "main" }, "Use this token"));
  replace(place, el("section", { class: "login" },
    el("h1", {}, "Log in"),
    Object.entries(FAILED).filter(([word]) => query.has(word)).map(([, text]) => el("p", { class: "why wrong", role: "alert" }, text)),
    ways.browser && el("p", {}, el("a", { class: "button main", href: `/auth/login?return=${encodeURIComponent(`/${location.hash}`)}` }, "Log in with your organisation")),
    ways.browser && el("p", { class: "faint" }, "or with a token:"),
    form));
  if (!ways.browser) field.focus();
}
