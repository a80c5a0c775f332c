// A diagram, drawn when the reader asks for it. Mermaid is a large library that makes HTML and styles of what a model wrote:
// it runs in a frame of its own (templates/nous_chat/diagram.html) that can reach neither this page nor the network. What
// comes back is shown as a picture, in which nothing runs and which loads nothing. Called by code.js.

import { words } from "../i18n/strings.js";
import { el } from "../ui/dom.js";
import { site } from "./site.js";

const PATIENCE = 20_000; // ms, with the time it takes to load Mermaid

let frame = null; // a promise of the frame's window
let number = 0;

export class Diagram {
  button;
  element;
  #source;

  /** @param {() => string} source what is to be drawn, when it is asked for */
  constructor(source) {
    this.#source = source;
    this.button = el(
      "button",
      {
        type: "button",
        "aria-pressed": "false",
        hidden: !site.diagram,
        onclick: () => this.#toggle(),
      },
      words.diagram,
    );
    this.element = el("div", { class: "diagram", role: "status", hidden: true });
  }

  async #toggle() {
    const on = this.button.getAttribute("aria-pressed") !== "true";
    this.button.setAttribute("aria-pressed", on);
    this.element.hidden = !on;
    if (!on) return;
    const source = this.#source();
    this.element.replaceChildren(words.drawing);
    try {
      const picture = await draw(source, isDark(this.element));
      const src = `data:image/svg+xml,${encodeURIComponent(picture)}`;
      this.element.replaceChildren(el("img", { src, alt: words.diagramOf(source) }));
    } catch {
      this.element.replaceChildren(words.noDiagram);
    }
  }
}

function isDark(element) {
  const scheme = getComputedStyle(element).colorScheme;
  return scheme === "dark" || (scheme.includes("dark") && matchMedia("(prefers-color-scheme: dark)").matches);
}

/** @param {string} source  @param {boolean} dark  @returns {Promise<string>} an SVG  @throws what Mermaid says, or that it took too long */
async function draw(source, dark) {
  frame ??= open();
  const target = await frame;
  const id = ++number;
  return new Promise((resolve, reject) => {
    const done = (act, value) => {
      removeEventListener("message", hear);
      clearTimeout(timer);
      act(value);
    };
    const hear = (event) => {
      if (event.source !== target || event.data?.id !== id) return;
      if (typeof event.data.svg === "string") done(resolve, event.data.svg);
      else done(reject, new Error(String(event.data.error)));
    };
    const timer = setTimeout(() => {
      document.querySelector("iframe[data-nous-chat-diagram]")?.remove(); // whatever it is busy with ends with it
      frame = null;
      done(reject, new Error("too slow"));
    }, PATIENCE);
    addEventListener("message", hear);
    target.postMessage({ id, source, dark }, "*"); // its origin is opaque; it is told nothing but the source
  });
}

function open() {
  const element = el("iframe", {
    "data-nous-chat-diagram": true,
    src: site.diagram,
    sandbox: "allow-scripts",
    tabindex: "-1",
    "aria-hidden": "true",
  });
  return new Promise((resolve, reject) => {
    element.addEventListener("load", () => resolve(element.contentWindow));
    element.addEventListener("error", reject);
    document.body.append(element);
  });
}
