// An HTML document in a sandboxed frame without origin (chat/views/preview.py), which reaches neither this page nor the
// network. Its scripts run only if the reader allows them, for the version that they see. Used by preview.js.

import { site } from "../markdown/site.js";
import { el, textButton } from "../ui/dom.js";
import { documentStrings as texts } from "./strings.js";

const SCRIPT = /<script\b|\son\w+\s*=|javascript:/i;

export class WebPage {
  #frame;
  #note;
  #text = "";
  /** @type {string|null} the text whose scripts may run */
  #allowed = null;
  #loaded = false;
  #title;

  /** @param {import("../protocol/types.d.ts").Document} document */
  constructor(document) {
    this.#title = document.title;
    this.#note = el(
      "p",
      { class: "document-note", hidden: true },
      el("span", {}, texts.scriptsBlocked),
      " ",
      textButton(texts.allowScripts, () => this.#allow()),
    );
    this.#frame = this.#createFrame();
    this.element = el("div", { class: "document-page" }, this.#note, this.#frame);
  }

  #createFrame() {
    /** @type {HTMLIFrameElement} */
    const frame = el("iframe", {
      sandbox: "allow-scripts",
      title: texts.previewOf(this.#title),
      referrerpolicy: "no-referrer",
      src: site.preview,
      onload: () => {
        this.#loaded = true;
        this.#send();
      },
    });
    return frame;
  }

  /** @param {string} text */
  show(text) {
    this.#text = text;
    // Not by the version: what the reader types is shown before it has one.
    if (this.#allowed !== null && this.#allowed !== text) this.#forget();
    this.#send();
  }

  /** The scripts of an earlier version end with their frame, which they may have led elsewhere. */
  #forget() {
    this.#allowed = null;
    this.#loaded = false;
    const frame = this.#createFrame();
    this.#frame.replaceWith(frame);
    this.#frame = frame;
  }

  #allow() {
    this.#allowed = this.#text;
    this.#send();
    this.#frame.focus();
  }

  /** The frame's origin is opaque, so no other can be named; the message holds only the document. */
  #send() {
    const scripts = this.#allowed !== null;
    this.#note.hidden = scripts || !SCRIPT.test(this.#text);
    if (this.#loaded) this.#frame.contentWindow?.postMessage({ html: this.#text, scripts }, "*");
  }
}
