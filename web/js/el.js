// Builds nodes. Text is always text: nothing that comes from the server is ever parsed as markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "value" && "value" in node) node.value = value;
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  append(node, children);
  return node;
}

/** Adds children: nodes, texts, or lists of them; nothing for null and false. */
export function append(node, children) {
  for (const child of [children].flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : String(child));
  }
}

/** An element of HTML: `el("a", {href: "#/", onclick: f}, "text", node)`. */
export function el(name, attributes, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** The same of SVG. */
export function svg(name, attributes, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

/** Puts other children into a node. */
export function replace(node, ...children) {
  node.replaceChildren();
  append(node, children);
}

/** A link that is only followed to where links may lead. */
export function link(address, ...children) {
  const safe = /^(https?:\/\/|#|\/(?!\/))/.test(address);
  const outside = /^https?:/.test(address);
  return safe
    ? el("a", { href: address, rel: outside && "noopener noreferrer", target: outside && "_blank" }, children)
    : el("span", {}, children);
}
