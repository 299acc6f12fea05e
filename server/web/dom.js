// Building blocks of the document.

const SVG = "http://www.w3.org/2000/svg";

// element("button", {type: "button", onclick: act}, "Plan"): functions become listeners, the rest attributes.
export function element(name, attributes = {}, ...children) {
  return furnish(document.createElement(name), attributes, children);
}

export function svg(name, attributes = {}, ...children) {
  return furnish(document.createElementNS(SVG, name), attributes, children);
}

function furnish(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export const byId = (id) => document.getElementById(id);

// Replaces the options of a select; chooses what is wanted, or keeps the choice, if it is there.
// items: [[value, label], ...]
export function fill(select, items, wanted = null) {
  const before = wanted ?? select.value;
  select.replaceChildren(...items.map(([value, label]) => element("option", { value }, label)));
  if (items.some(([value]) => value === before)) select.value = before;
}

// Fills a list of terms and what they are: [[term, description], ...]
export function facts(node, pairs) {
  node.replaceChildren(
    ...pairs.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, String(value)))),
  );
}

// Hands a file to the person.
export function save(blob, name) {
  const url = URL.createObjectURL(blob);
  element("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

export function saveText(text, name) {
  save(new Blob([text], { type: "application/json" }), name);
}

// Numbers as people read them: three digits that matter, or none behind the point for large ones.
export function short(value) {
  if (value === null || value === undefined) return "–";
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString("en");
  return String(Number(value.toPrecision(3)));
}

export function seconds(milliseconds) {
  return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}
