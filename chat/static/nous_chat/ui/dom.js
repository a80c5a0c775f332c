// Creates elements: the building blocks of every view.

import { firstLetter } from "../i18n/graphemes.js";

/** @typedef {string|number|boolean|null|undefined|((event: any) => unknown)} Attribute */

/**
 * Creates an element.
 * @template {string} T
 * @param {T} tag
 * @param {Record<string, Attribute>} attributes `true` sets an empty one, `false` and null set none; a function is added
 *   as a listener, so its name is `onclick` or the like
 * @param {...(Node|string|null|undefined)} children
 * @returns {T extends keyof HTMLElementTagNameMap ? HTMLElementTagNameMap[T] : HTMLElement}
 */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value == null) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child != null));
  return /** @type {any} */ (element);
}

// Outlines on a grid of 20 by 20.
const ICONS = {
  archive: "M3.5 4.5h13v3h-13zM4.5 7.5v8h11v-8M8 10.5h4",
  check: "M4.5 10.5l3.5 3.5l7.5-8",
  clip: "M15.5 9.5l-5.8 5.8a3.4 3.4 0 0 1-4.9-4.8l6.4-6.3a2.2 2.2 0 0 1 3.2 3.1l-6.3 6.2a1 1 0 0 1-1.5-1.4l5.4-5.3",
  clock: "M10 6v4l2.5 2M10 3a7 7 0 1 0 0 14a7 7 0 0 0 0-14",
  close: "M5.5 5.5l9 9M14.5 5.5l-9 9",
  copy: "M7.5 7.5h8v8h-8zM12.5 7.5v-3h-8v8h3",
  delete: "M4.5 6h11M8 6v-2h4v2M6 6l.7 10h6.6l.7-10",
  down: "M10 4.5v11M5.5 11l4.5 4.5l4.5-4.5",
  edit: "M4 16l.8-3.4l8.4-8.4l2.6 2.6l-8.4 8.4zM11.3 6.1l2.6 2.6",
  feedback: "M4 9.5h2.5v7h-2.5zM6.5 9.5l3-6c1.6 0 2 1 2 2v3h4l-1 8h-8",
  file: "M5.5 3.5h6l3.5 3.5v9.5h-9.5zM11.5 3.5v3.5h3.5",
  fork: "M10 16v-5l-5-5M10 11l5-5M4.8 9v-3.2h3.2M15.2 9v-3.2h-3.2",
  key: "M12.5 3.5a4 4 0 1 0 0 8a4 4 0 0 0 0-8M9.7 10.3l-6.2 6.2M5.5 14.5l2 2",
  keyboard: "M2.5 5.5h15v9h-15zM5.5 8.5h.01M8.5 8.5h.01M11.5 8.5h.01M14.5 8.5h.01M6.5 11.5h7",
  leave: "M8.5 3.5h-5v13h5M8 10h8.5M13 6.5l3.5 3.5l-3.5 3.5",
  left: "M12 5l-5 5l5 5",
  menu: "M3.5 6h13M3.5 10h13M3.5 14h8",
  moon: "M15.5 12.2a6.3 6.3 0 0 1-7.7-7.7a6.3 6.3 0 1 0 7.7 7.7z",
  more: "M5 10h.01M10 10h.01M15 10h.01",
  people: "M7.5 4a3 3 0 1 0 0 6a3 3 0 0 0 0-6M2.5 16c0-6 10-6 10 0M13 4.4a3 3 0 0 1 0 5.2M14.5 11.8c2 .6 3 2 3 4.2",
  pin: "M7 3.5h6M8 3.5v5l-2.5 3.5h9l-2.5-3.5v-5M10 12v5",
  plus: "M10 4v12M4 10h12",
  reply: "M8 5l-4.5 4.5l4.5 4.5M3.5 9.5h7.5a5 5 0 0 1 5 5v.5",
  retry: "M15.5 6.5v-3M15.5 6.5h-3M15.3 6.4a6.5 6.5 0 1 0 1.2 3.6",
  right: "M8 5l5 5l-5 5",
  screen: "M3 4.5h14v9h-14zM7.5 16.5h5M10 13.5v3",
  search: "M9 3.5a5.5 5.5 0 1 0 0 11a5.5 5.5 0 0 0 0-11M13 13l3.5 3.5",
  send: "M10 15.5v-11M5.5 9l4.5-4.5l4.5 4.5",
  stop: "M6.5 6.5h7v7h-7z",
  sun: "M10 7a3 3 0 1 0 0 6a3 3 0 0 0 0-6M10 2.5v1.5M10 16v1.5M2.5 10h1.5M16 10h1.5M4.7 4.7l1 1M14.3 14.3l1 1M4.7 15.3l1-1M14.3 5.7l1-1",
  widen: "M11.5 3.5h5v5M16.5 3.5l-5 5M8.5 16.5h-5v-5M3.5 16.5l5-5",
  tool: "M13.2 3.9a3.9 3.9 0 0 0-4.7 5.2l-4.6 4.6a1.7 1.7 0 0 0 2.4 2.4l4.6-4.6a3.9 3.9 0 0 0 5.2-4.7l-2.4 2.4l-2.3-.6l-.6-2.3z",
};

/** @typedef {keyof typeof ICONS} Icon */

/** A decorative icon. It is hidden from screen readers, because the control that holds it has a name. @param {Icon} name */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 20 20");
  svg.setAttribute("class", `icon icon-${name}`);
  svg.setAttribute("aria-hidden", "true");
  const path = svg.appendChild(document.createElementNS("http://www.w3.org/2000/svg", "path"));
  path.setAttribute("d", ICONS[name]);
  return svg;
}

/**
 * A button that shows an icon; the label is its accessible name and its tooltip.
 * @param {Icon} name
 * @param {string|null} label null if it is set later
 * @param {Record<string, Attribute>} attributes as for `el`
 */
export function iconButton(name, label, attributes) {
  const own = { type: "button", class: "icon-button", "aria-label": label, title: label };
  return el("button", { ...own, ...attributes }, icon(name));
}

/**
 * A button that looks like a link, for use in a line of text.
 * @param {string} text  @param {() => unknown} onclick  @param {Record<string, Attribute>} [attributes] as for `el`
 */
export function textButton(text, onclick, attributes = {}) {
  return el("button", { type: "button", class: "text-button", onclick, ...attributes }, text);
}

/**
 * A drop-down list.
 * @param {string[]} values
 * @param {Record<string, string>} labels by value
 * @param {string} [selected]
 */
export function dropDown(values, labels, selected) {
  const select = el("select", {}, ...values.map((value) => el("option", { value }, labels[value])));
  if (selected !== undefined) select.value = selected;
  return select;
}

/**
 * Takes over a click on a link, unless it is meant for another tab or window.
 * @param {MouseEvent} event
 * @returns {boolean} true if the page has to follow the link itself
 */
export function opensHere(event) {
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return false;
  event.preventDefault();
  return true;
}

/**
 * The picture; else initials on a colour that depends on the id of the person, or on the slug of the agent.
 * @param {{id: string, name: string, picture?: string}|{slug: string, name: string, picture?: string}} who
 */
export function avatar(who) {
  const agent = "slug" in who;
  const initials = who.name
    .split(/[\s._-]+/)
    .filter(Boolean)
    .slice(0, 2)
    .map(firstLetter)
    .join("")
    .toUpperCase();
  const className = agent ? "avatar agent" : "avatar";
  const element = el("span", { class: className, "aria-hidden": "true", translate: "no" }, initials);
  let hue = 0;
  for (const character of agent ? who.slug : String(who.id)) hue = (hue * 31 + (character.codePointAt(0) ?? 0)) % 360;
  element.style.setProperty("--hue", String((hue * 47) % 360));
  if (who.picture) {
    const failed = () => element.replaceChildren(initials);
    element.replaceChildren(
      el("img", { src: who.picture, alt: true, decoding: "async", referrerpolicy: "no-referrer", onerror: failed }),
    );
  }
  return element;
}
