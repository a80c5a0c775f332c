// A diagram, drawn when the user asks for it. Mermaid turns a model's text into HTML and styles, so it runs in a sandboxed
// frame (templates/nous_chat/diagram.html) that reaches neither this page nor the network. Its SVG is shown as an image,
// in which nothing runs and which loads nothing. Used by code.js, and by documents/drawing.js.

import { strings } from "../i18n/strings.js";
import { el, textButton } from "../ui/dom.js";
import { site } from "./site.js";

const TIMEOUT = 20_000; // ms, including the time to load Mermaid

/** @type {Promise<Window>|null} the frame's window */
let frame = null;
let lastId = 0;

export class Diagram {
  #source;

  /** @param {() => string} source called when the diagram is drawn */
  constructor(source) {
    this.#source = source;
    const attributes = { class: null, "aria-pressed": "false", hidden: !site.diagram };
    this.button = textButton(strings.diagram, () => this.#toggle(), attributes);
    this.element = el("div", { class: "diagram", role: "status", hidden: true });
  }

  async #toggle() {
    const on = this.button.getAttribute("aria-pressed") !== "true";
    this.button.setAttribute("aria-pressed", String(on));
    this.element.hidden = !on;
    if (!on) return;
    const source = this.#source();
    this.element.replaceChildren(strings.drawing);
    try {
      const picture = await draw(source, isDark(this.element));
      const src = `data:image/svg+xml,${encodeURIComponent(picture)}`;
      this.element.replaceChildren(el("img", { src, alt: strings.diagramOf(source) }));
    } catch {
      this.element.replaceChildren(strings.noDiagram);
    }
  }
}

/** @param {Element} element */
export function isDark(element) {
  const scheme = getComputedStyle(element).colorScheme;
  return scheme === "dark" || (scheme.includes("dark") && matchMedia("(prefers-color-scheme: dark)").matches);
}

/**
 * @param {string} source
 * @param {boolean} dark
 * @returns {Promise<string>} an SVG
 * @throws Mermaid's error, or a timeout
 */
export async function draw(source, dark) {
  frame ??= open();
  const target = await frame;
  const id = ++lastId;
  return new Promise((resolve, reject) => {
    const finish = () => {
      removeEventListener("message", receive);
      clearTimeout(timer);
    };
    const receive = (/** @type {MessageEvent} */ event) => {
      if (event.source !== target || event.data?.id !== id) return;
      finish();
      if (typeof event.data.svg === "string") resolve(event.data.svg);
      else reject(new Error(String(event.data.error)));
    };
    const timer = setTimeout(() => {
      document.querySelector("iframe[data-nous-chat-diagram]")?.remove(); // ends whatever it is doing
      frame = null;
      finish();
      reject(new Error("too slow"));
    }, TIMEOUT);
    addEventListener("message", receive);
    target.postMessage({ id, source, dark }, "*"); // the frame's origin is opaque; the message holds only the source
  });
}

/** @returns {Promise<Window>} */
function open() {
  const element = el("iframe", {
    "data-nous-chat-diagram": true,
    src: site.diagram,
    sandbox: "allow-scripts",
    tabindex: "-1",
    "aria-hidden": "true",
  });
  return new Promise((resolve, reject) => {
    element.addEventListener("load", () => element.contentWindow && resolve(element.contentWindow));
    element.addEventListener("error", reject);
    document.body.append(element);
  });
}
