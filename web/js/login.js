// Logging in: by the organisation's own login where there is one, or by a token.

import { el, replace } from "./el.js";
import { session } from "./session.js";

/** Shows the ways to log in; `done` is called once one worked. */
export async function login(place, done) {
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
    ways.browser && el("p", {}, el("a", { class: "button main", href: `/auth/login?return=${encodeURIComponent(`/${location.hash}`)}` }, "Log in with your organisation")),
    ways.browser && el("p", { class: "faint" }, "or with a token:"),
    form));
  if (!ways.browser) field.focus();
}
