// Light, dark, or as the system has it.

import { replace } from "./el.js";
import { icon } from "./icon.js";

const KEY = "theme";
const THEMES = [["system", "screen"], ["light", "sun"], ["dark", "moon"]];

function stored() {
  try {
    return localStorage.getItem(KEY) ?? "system";
  } catch {
    return "system";
  }
}

function set(name, button) {
  if (name === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  const [, picture] = THEMES.find(([theme]) => theme === name) ?? THEMES[0];
  replace(button, icon(picture));
  button.setAttribute("aria-label", `Colours: ${name}. Change`);
  button.title = `Colours: ${name}`;
}

/** Makes a button the switch. */
export function theme(button) {
  set(stored(), button);
  button.addEventListener("click", () => {
    const at = THEMES.findIndex(([name]) => name === stored());
    const next = THEMES[(at + 1) % THEMES.length][0];
    try {
      localStorage.setItem(KEY, next);
    } catch {
      // Then it counts for this page only.
    }
    set(next, button);
  });
}
