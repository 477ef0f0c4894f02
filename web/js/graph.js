// A graph as the server laid it out: waves as columns, services as boxes with their state, lines between them.

import { svg, replace } from "./el.js";
import { iconPath } from "./icon.js";
import { look } from "./state.js";

const LETTERS = 22;
const SMALLEST = 0.8;
/** Room for lines that leave a box of the last wave and come back to another one of it. */
const LOOP = 14;
const short = (name) => (name.length > LETTERS ? `${name.slice(0, LETTERS - 1)}…` : name);

/**
 * Draws a picture. `onselect(name, kind)` is called when a service is hovered, focused or chosen. Gives the node, and
 * ways to set states and to highlight a service with what it needs and what needs it. With `onwave` each wave has a
 * button to take it back, which `offerWaves` shows.
 */
export function graph(picture, { label, onselect, onwave, describe, waveName }) {
  const boxes = new Map();
  const lines = [];
  const root = svg("svg", {
    class: "graph",
    viewBox: `0 0 ${picture.width + LOOP} ${picture.height}`,
    role: "group",
    "aria-label": label,
  });
  // A window that is a little too small is no reason to scroll; letters that nobody can read are no help either.
  root.style.maxWidth = `${picture.width + LOOP}px`;
  root.style.minWidth = `${Math.round(picture.width * (innerWidth < 700 ? 1 : SMALLEST))}px`;
  const arrow = (id) => svg("marker", { id, viewBox: "0 0 8 8", refX: 7.5, refY: 4, markerWidth: 7, markerHeight: 7, markerUnits: "userSpaceOnUse", orient: "auto", class: id },
    svg("path", { d: "M0 .5 8 4 0 7.5z" }));
  root.append(svg("defs", {}, arrow("arrow"), arrow("arrow-critical"), arrow("arrow-against")));

  for (const panel of picture.panels) {
    const heading = svg("text", { x: panel.x + 9, y: panel.y + 20, class: "wave-name" });
    root.append(svg("g", { class: "wave" },
      svg("rect", { x: panel.x, y: panel.y, width: panel.width, height: panel.height, rx: 10 }), heading));
    replace(heading, waveName(panel.wave));
    panel.heading = heading;
  }
  // Over the panels and outside of the walk by arrow keys: each is a stop of its own.
  const backs = svg("g", { class: "backs" });
  const under = svg("g", { class: "lines", "aria-hidden": "true" });
  root.append(under);
  for (const edge of picture.edges) {
    const kind = edge.against ? "against" : edge.critical ? "critical" : edge.implied ? "implied" : "plain";
    const mark = edge.against ? "arrow-against" : edge.critical ? "arrow-critical" : "arrow";
    const path = svg("path", { d: edge.path, class: `line ${kind}`, "marker-end": `url(#${mark})` },
      edge.title && svg("title", {}, edge.title));
    lines.push({ edge, path });
    under.append(path);
  }

  if (onwave) {
    for (const panel of picture.panels) if (panel.wave !== null) backs.append(back(panel));
    root.append(backs);
  }

  function back({ wave, x, y, width }) {
    const press = () => onwave(wave);
    return svg("g", {
      class: "back",
      role: "button",
      tabindex: "0",
      "aria-label": `Roll back ${waveName(wave)}`,
      onclick: press,
      onkeydown: (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        press();
      },
    },
    svg("title", {}, `Roll back ${waveName(wave)}`),
    svg("rect", { x: x + width - 36, y: y + 1, width: 30, height: 28, rx: 6 }),
    svg("path", { d: iconPath("back"), transform: `translate(${x + width - 29} ${y + 7})` }));
  }

  const over = svg("g", { class: "boxes" });
  root.append(over);
  picture.services.forEach((spot, at) => {
    const sign = svg("path", { class: "sign", transform: `translate(${spot.x + 7} ${spot.y + spot.height / 2 - 8})` });
    const node = svg("g", { class: "box", tabindex: at === 0 ? "0" : "-1", role: "button", "data-service": spot.name },
      svg("rect", { x: spot.x, y: spot.y, width: spot.width, height: spot.height, rx: 7 }),
      sign,
      svg("text", { x: spot.x + 28, y: spot.y + spot.height / 2 + 4, "aria-hidden": "true" }, short(spot.name)));
    node.classList.toggle("critical", spot.critical);
    node.classList.toggle("ring", spot.in_ring);
    node.addEventListener("pointerenter", (event) => event.pointerType !== "touch" && show(spot.name, "hover"));
    node.addEventListener("pointerleave", () => show(null, "hover"));
    node.addEventListener("focus", () => show(spot.name, "focus"));
    node.addEventListener("click", () => show(spot.name, "choose"));
    boxes.set(spot.name, { spot, node, sign, state: null });
    over.append(node);
  });
  over.addEventListener("keydown", walk);

  function show(name, kind) {
    if (kind !== "hover") {
      for (const { node } of boxes.values()) node.tabIndex = -1;
      boxes.get(name).node.tabIndex = 0;
    }
    onselect(name, kind);
  }

  // Arrow keys go to the next box in that direction.
  function walk(event) {
    const from = boxes.get(document.activeElement?.dataset?.service);
    if (!from) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      show(from.spot.name, "choose");
      return;
    }
    const along = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[event.key];
    if (!along) return;
    event.preventDefault();
    const middle = ({ spot }) => [spot.x + spot.width / 2, spot.y + spot.height / 2];
    const [x, y] = middle(from);
    let best = null;
    for (const box of boxes.values()) {
      const [dx, dy] = [middle(box)[0] - x, middle(box)[1] - y];
      const ahead = dx * along[0] + dy * along[1];
      if (box === from || ahead < 4) continue;
      const aside = Math.abs(dx * along[1]) + Math.abs(dy * along[0]);
      const cost = ahead + aside * 3;
      if (!best || cost < best.cost) best = { box, cost };
    }
    best?.box.node.focus();
    best?.box.node.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  return {
    node: root,
    /** Shows where a service stands. */
    set(name, state) {
      const box = boxes.get(name);
      if (!box) return;
      const { tone, picture: sign, label: word, moves } = look(state);
      const text = describe ? describe(name, word) : `${name}, ${word}`;
      if (box.node.getAttribute("aria-label") !== text) box.node.setAttribute("aria-label", text);
      if (box.state === state) return;
      box.state = state;
      for (const old of [...box.node.classList]) if (old.startsWith("tone-")) box.node.classList.remove(old);
      box.node.classList.add(`tone-${tone}`);
      box.node.classList.toggle("moves", moves);
      box.sign.setAttribute("d", iconPath(sign));
    },
    /** Says how far a wave is. */
    wave(wave, words) {
      const panel = picture.panels.find((one) => one.wave === wave);
      const text = `${waveName(wave)} ${words}`;
      if (panel && panel.heading.textContent !== text) replace(panel.heading, waveName(wave), svg("tspan", { dx: 4, class: "wave-count" }, words));
    },
    /** Shows the buttons of the waves, or none of them. */
    offerWaves(yes) {
      backs.classList.toggle("offered", Boolean(yes));
    },
    /** Brings one service with its neighbours out, or none. */
    highlight(name) {
      root.classList.toggle("focused", Boolean(name));
      const near = new Set([name]);
      for (const { edge, path } of lines) {
        const on = edge.service === name || edge.depends_on === name;
        path.classList.toggle("on", on);
        if (on) near.add(edge.service).add(edge.depends_on);
      }
      for (const [other, { node }] of boxes) {
        node.classList.toggle("on", near.has(other));
        node.classList.toggle("chosen", other === name);
      }
    },
    /** Where the window is too small for all of it, the first boxes are seen, and not the room above them. */
    reveal(canvas) {
      const scale = root.clientHeight / picture.height;
      const first = picture.services[0];
      if (!first || canvas.scrollHeight <= canvas.clientHeight) return;
      canvas.scrollTop = Math.max(0, (first.y + first.height) * scale - canvas.clientHeight * 0.75);
    },
    focus(name) {
      boxes.get(name)?.node.focus();
    },
  };
}
