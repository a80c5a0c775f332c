// What is different between two versions of a document, side by side or in one text. Used by history.js.

import { el } from "../ui/dom.js";
import { EditorState, EditorView, MergeView, unifiedMergeView } from "../vendor/codemirror/codemirror.js";
import { appearance } from "./editor.js";
import { documentStrings as texts } from "./strings.js";

const EFFORT = { scanLimit: 5000, timeout: 500 }; // of the search for what is equal; beyond, more counts as changed
const COLLAPSE = { margin: 3, minSize: 8 }; // lines

export class Comparison {
  #document;
  #old;
  #now;
  #view;
  /** @type {MergeView|EditorView|null} */
  #shown = null;

  /** @param {import("../protocol/types.d.ts").Document} document  @param {string} old  @param {string} now  @param {"inline"|"split"} view */
  constructor(document, old, now, view) {
    this.#document = document;
    this.#old = old;
    this.#now = now;
    this.#view = view;
    this.element = el("div", { class: `comparison ${view}` });
  }

  /** @param {ShadowRoot} root that the element is in */
  start(root) {
    if (this.#old === this.#now) return this.element.replaceChildren(el("p", { class: "blank" }, texts.noDifference));
    const side = (/** @type {string} */ label) => [
      appearance(this.#document, label),
      EditorState.readOnly.of(true),
      EditorView.editable.of(false),
      EditorView.contentAttributes.of({ tabindex: "0" }),
      EditorState.phrases.of({ "$ unchanged lines": texts.unchanged }),
    ];
    this.#shown =
      this.#view === "split"
        ? new MergeView({
            a: { doc: this.#old, extensions: side(texts.before) },
            b: { doc: this.#now, extensions: side(texts.after) },
            parent: this.element,
            root,
            collapseUnchanged: COLLAPSE,
            diffConfig: EFFORT,
          })
        : new EditorView({
            doc: this.#now,
            extensions: [
              side(texts.differences),
              unifiedMergeView({
                original: this.#old,
                mergeControls: false,
                collapseUnchanged: COLLAPSE,
                diffConfig: EFFORT,
              }),
            ],
            parent: this.element,
            root,
          });
  }

  stop() {
    this.#shown?.destroy();
  }
}
