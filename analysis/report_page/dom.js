// Elements are made of nodes and text, never of markup, so that no label can become an element.
const SVG = "http://www.w3.org/2000/svg";
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const all = (selector) => document.querySelectorAll(selector);

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value != null) node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child !== null));
  return node;
}
const el = (tag, attributes, ...parts) => fill(document.createElement(tag), attributes, parts);
const svg = (tag, attributes, ...children) =>
  fill(document.createElementNS(SVG, tag), attributes, children);

// Rows are lists of texts or ready `<td>`; the first of each is its heading.
function tableOf(caption, head, rows, kind = "plain") {
  const inCell = (cell) => (cell instanceof Element ? cell : el("td", null, cell));
  const table = el("table", { class: kind }, el("caption", null, caption),
    el("thead", null, el("tr", null, head.map((text) => el("th", { scope: "col" }, text)))),
    el("tbody", null, rows.map(([first, ...rest]) =>
      el("tr", null, el("th", { scope: "row" }, first), rest.map(inCell)))));
  return el("div", { class: "scroll", role: "region", tabindex: 0, "aria-label": caption }, table);
}

const tip = byId("tip");
function showTip(text, x, y) {
  // An open dialog lies above all else: what is to be seen must be inside of it.
  const host = document.querySelector("dialog[open]") || document.body;
  if (tip.parentNode !== host) host.append(tip);
  tip.textContent = text;
  tip.hidden = false;
  const { width, height } = tip.getBoundingClientRect();
  const right = document.documentElement.clientWidth - width - 4;
  tip.style.left = `${Math.max(4, Math.min(x + 12, right))}px`;
  tip.style.top = `${y - height - 10 < 0 ? y + 14 : y - height - 10}px`;
}
const hideTip = () => { tip.hidden = true; };
