// Makes elements. Used by every view.

/**
 * @param {string} tag
 * @param {object} attributes `true` sets an empty one, `false` and null none; `onclick` and the like add a listener
 * @param {...(Node|string|null)} children
 * @returns {HTMLElement}
 */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

// Drawn on a grid of 20, as lines.
const ICONS = {
  check: "M4.5 10.5l3.5 3.5l7.5-8",
  clock: "M10 6v4l2.5 2M10 3a7 7 0 1 0 0 14a7 7 0 0 0 0-14",
  close: "M5.5 5.5l9 9M14.5 5.5l-9 9",
  down: "M10 4.5v11M5.5 11l4.5 4.5l4.5-4.5",
  menu: "M3.5 6h13M3.5 10h13M3.5 14h8",
  plus: "M10 4v12M4 10h12",
  send: "M10 15.5v-11M5.5 9l4.5-4.5l4.5 4.5",
  tool: "M13.2 3.9a3.9 3.9 0 0 0-4.7 5.2l-4.6 4.6a1.7 1.7 0 0 0 2.4 2.4l4.6-4.6a3.9 3.9 0 0 0 5.2-4.7l-2.4 2.4l-2.3-.6l-.6-2.3z",
  stop: "M6.5 6.5h7v7h-7z",
  spark: "M10 3c.6 4.2 2.8 6.4 7 7c-4.2.6-6.4 2.8-7 7c-.6-4.2-2.8-6.4-7-7c4.2-.6 6.4-2.8 7-7z",
};

/** An icon beside or instead of words; the words are the control's name, so the icon itself is silent. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 20 20");
  svg.setAttribute("class", `icon icon-${name}`);
  svg.setAttribute("aria-hidden", "true");
  const path = svg.appendChild(document.createElementNS("http://www.w3.org/2000/svg", "path"));
  path.setAttribute("d", ICONS[name]);
  return svg;
}

/** A person's mark: the initials on a tint of his own. */
export function avatar(person) {
  const initials = person.name.split(/[\s._-]+/).filter(Boolean).slice(0, 2).map((part) => [...part][0]).join("");
  const mark = el("span", { class: "avatar", "aria-hidden": "true" }, initials.toUpperCase());
  let hue = 0;
  for (const character of String(person.id)) hue = (hue * 31 + character.codePointAt(0)) % 360;
  mark.style.setProperty("--hue", (hue * 47) % 360);
  return mark;
}
