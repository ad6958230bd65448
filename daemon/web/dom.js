// Builds the page from text nodes and attributes only: a name read from a barcode can never become markup.

const SVG = "http://www.w3.org/2000/svg";
const HANDLERS = ["onclick", "oninput", "onsubmit", "onkeydown"];

export function h(tag, props, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) put(element, name, value);
  element.append(...flat(children));
  return element;
}

export function svg(tag, props, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(props ?? {})) element.setAttribute(name, value);
  element.append(...flat(children));
  return element;
}

/** Makes `root` hold `children`, keeping the nodes that already fit, so that focus, scroll and typed text stay. */
export function show(root, ...children) {
  reconcile(root, flat(children));
}

function flat(children) {
  return children
    .flat(Infinity)
    .filter((child) => child !== null && child !== undefined && child !== false && child !== "")
    .map((child) => (child instanceof Node ? child : document.createTextNode(String(child))));
}

function put(element, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name.startsWith("on")) element[name] = value;
  else if (name === "key") element.dataset.key = value;
  else if (name === "css") for (const [rule, to] of Object.entries(value)) element.style.setProperty(rule, to);
  else element.setAttribute(name, value === true ? "" : String(value));
}

function reconcile(parent, wanted) {
  const keep = new Set(wanted.map(keyOf).filter(Boolean));
  const keyed = new Map();
  for (const node of [...parent.childNodes]) {
    const key = keyOf(node);
    if (!key) continue;
    if (keep.has(key)) keyed.set(key, node);
    else node.remove();
  }
  let cursor = parent.firstChild;
  for (const next of wanted) {
    const old = keyOf(next) ? keyed.get(keyOf(next)) : cursor;
    if (!old || !same(old, next)) {
      parent.insertBefore(next, cursor);
      continue;
    }
    if (old === cursor) cursor = cursor.nextSibling;
    else parent.insertBefore(old, cursor);
    update(old, next);
  }
  while (cursor) {
    const rest = cursor.nextSibling;
    cursor.remove();
    cursor = rest;
  }
}

function keyOf(node) {
  return node.dataset?.key;
}

function same(old, next) {
  return old.nodeName === next.nodeName && keyOf(old) === keyOf(next);
}

function update(old, next) {
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== next.data) old.data = next.data;
    return;
  }
  for (const { name } of [...old.attributes]) {
    if (!next.hasAttribute(name)) old.removeAttribute(name);
  }
  for (const { name, value } of [...next.attributes]) {
    if (name === "style") old.style.cssText = next.style.cssText;
    else if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  for (const handler of HANDLERS) old[handler] = next[handler];
  reconcile(old, [...next.childNodes]);
}
