// Small pictures. They never stand alone: a word is beside them, or the name of what they are in.

import { svg } from "./el.js";

const PATHS = {
  check: "M3.5 8.5l3 3 6-7",
  cross: "M4.5 4.5l7 7M11.5 4.5l-7 7",
  ring: "M8 3.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9z",
  arc: "M8 3a5 5 0 1 1-5 5",
  eye: "M2 8s2.2-4 6-4 6 4 6 4-2.2 4-6 4-6-4-6-4zM8 6.6a1.4 1.4 0 1 1 0 2.8 1.4 1.4 0 0 1 0-2.8z",
  back: "M6 4L2.8 7.2 6 10.4M3 7.2h6a3.6 3.6 0 0 1 0 7.2H7.5",
  pause: "M5.5 4v8M10.5 4v8",
  bang: "M8 3.5v5.5M8 12v.4",
  minus: "M4 8h8",
  again: "M12.5 8A4.5 4.5 0 1 1 11 4.6M11 2.2v2.6h2.6",
  hand: "M8 4.2v3.8l2.6 1.6M8 2.5a5.5 5.5 0 1 1 0 11 5.5 5.5 0 0 1 0-11z",
  play: "M5.5 3.8v8.4l6.6-4.2z",
  sun: "M8 5.2a2.8 2.8 0 1 1 0 5.6 2.8 2.8 0 0 1 0-5.6zM8 1.6v1.2M8 13.2v1.2M1.6 8h1.2M13.2 8h1.2M3.5 3.5l.8.8M11.7 11.7l.8.8M3.5 12.5l.8-.8M11.7 4.3l.8-.8",
  moon: "M13 9.6A5.4 5.4 0 0 1 6.4 3a5.4 5.4 0 1 0 6.6 6.6z",
  screen: "M2.5 3.5h11v7h-11zM6 13h4M8 10.5V13",
  out: "M9.5 3h3.5v3.5M13 3L7.5 8.5M11 9v4H3V5h4",
};

/** A picture by its name. */
export function icon(name, extra = "") {
  return svg("svg", { class: `icon ${extra}`.trim(), viewBox: "0 0 16 16", "aria-hidden": "true", focusable: "false" },
    svg("path", { d: PATHS[name] ?? PATHS.ring }));
}

/** The line of a picture, to stand in another one. */
export function iconPath(name) {
  return PATHS[name] ?? PATHS.ring;
}
