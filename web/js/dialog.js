// A question before something is changed.

import { el, replace } from "./el.js";

/**
 * Asks. `body` is what will happen; `field` asks for a line of text. Resolves with `{text}` once it is confirmed and
 * `act` did it, or null where it was left.
 */
export function ask({ title, body, confirm, tone = "main", field, refused, act }) {
  return new Promise((resolve) => {
    const wrong = el("p", { class: "wrong", role: "alert" });
    const input = field && el("input", { type: "text", id: "dialog-field", name: "reason", autocomplete: "off", maxlength: "500" });
    const yes = el("button", { type: "submit", class: tone, disabled: Boolean(refused) }, confirm);
    const no = el("button", { type: "button", onclick: () => dialog.close() }, refused ? "Close" : "Cancel");
    let result = null;
    const form = el("form", {
      method: "dialog",
      onsubmit: async (event) => {
        event.preventDefault();
        yes.disabled = true;
        replace(wrong);
        const text = input?.value.trim() ?? "";
        try {
          await act(text);
          result = { text };
          dialog.close();
        } catch (error) {
          yes.disabled = false;
          replace(wrong, error.message);
        }
      },
    },
    el("h2", { id: "dialog-title" }, title),
    el("div", { class: "dialog-body", tabindex: "0", role: "group", "aria-label": "What will happen" }, body),
    refused && el("p", { class: "wrong" }, `Not now: ${refused}`),
    input && !refused && el("p", { class: "field" }, el("label", { for: "dialog-field" }, field), input),
    wrong,
    el("div", { class: "buttons" }, no, yes));
    const dialog = el("dialog", { "aria-labelledby": "dialog-title" }, form);
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(result);
    });
    // A click beside it leaves it, as Escape does.
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    document.body.append(dialog);
    dialog.showModal();
    (input && !refused ? input : no).focus();
  });
}
