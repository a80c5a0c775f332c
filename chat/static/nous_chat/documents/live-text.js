// The text of an open document, from the version that was fetched: its session, its editor, and its preview, which begin and
// end together. Places in events are those of the log; in the editor, they are moved by what the server has not confirmed.
// Used by pane.js.

import { el } from "../ui/dom.js";
import { Compartment, EditorState, EditorView } from "../vendor/codemirror/codemirror.js";
import { createEditor } from "./editor.js";
import { openRange, protectOpenRange, setWriting } from "./open-range.js";
import { Preview } from "./preview.js";
import { Session } from "./session.js";
import { documentStrings as texts } from "./strings.js";

/**
 * @import { DocumentCommand, DocumentUpdate, ErrorEvent, Event, OpenedDocument, Writing } from "../protocol/types.d.ts"
 * @import { Extension, ViewUpdate } from "../vendor/codemirror/codemirror.js"
 *
 * @typedef {object} Options
 * @property {string} user  id
 * @property {ShadowRoot} root
 * @property {() => boolean} mayWrite
 * @property {(since: number) => Promise<DocumentUpdate[]>} updates  all after a version
 * @property {Extension[]} extensions  of the editor
 * @property {(command: DocumentCommand) => boolean} send  returns false if the socket is not live
 * @property {(refusal: ErrorEvent|null) => void} refused  a push was refused and waits; null: it no longer waits
 * @property {() => void} broken  the text and the log do not fit together; the document has to be fetched again
 * @property {(update: ViewUpdate) => void} onUpdate
 * @property {(writing: Writing) => void} onProtected  the user wanted to change what an agent is writing
 */

export class LiveText {
  #options;
  #mutable = new Compartment();
  #started = false;

  /** @param {OpenedDocument} opened  @param {Options} options */
  constructor(opened, options) {
    this.#options = options;
    this.session = new Session(opened, options.user, options);
    this.editor = createEditor({
      document: opened,
      text: opened.text,
      label: texts.textOf(opened.title),
      root: options.root,
      extensions: [
        this.session.extension,
        openRange.init(() => opened.writing),
        options.extensions,
        protectOpenRange(() => this.writing && options.onProtected(this.writing)),
        this.#mutable.of(this.#mutability),
      ],
      onChange: (changes) => this.session.changed(changes),
      onUpdate: (update) => {
        if (update.docChanged) this.preview?.changed();
        options.onUpdate(update);
      },
    });
    this.preview = Preview.for(opened, {
      text: () => this.text,
      writing: () => this.writing,
      version: () => this.session.version,
    });
    const source = el("div", { class: "document-source" }, this.editor.dom);
    this.elements = this.preview ? [source, this.preview.element] : [source];
  }

  /** Begins to follow the log; from then on, the text can be changed. */
  async start() {
    await this.session.start(this.editor, this.#options.updates);
    this.#started = true;
    return true;
  }

  stop() {
    this.session.stop();
    this.editor.destroy();
    this.preview?.stop();
  }

  get text() {
    return this.editor.state.doc.toString();
  }

  /** @param {Event} event about this document, or about none */
  receive(event) {
    switch (event.type) {
      case "document.changed":
        this.session.receive(event);
        return this.#placeWriting(event.writing, event.version);
      case "document.updates":
        this.session.receiveUpdates(event);
        if (!event.more) this.#placeWriting(event.writing, event.updates.at(-1)?.version);
        return;
      case "document.updated":
        return this.#placeWriting(event.document.writing, event.document.version);
      case "run.finished":
        if (this.writing?.run === event.run) this.#placeWriting(null);
        return this.session.retry();
    }
  }

  get #mutability() {
    const readOnly = !this.#started || !this.#options.mayWrite();
    return [EditorState.readOnly.of(readOnly), EditorView.editable.of(!readOnly), readOnly ? FOCUSABLE : []];
  }

  /** It has started, or whether the user may write has changed. */
  showMutability() {
    this.editor.dispatch({ effects: this.#mutable.reconfigure(this.#mutability) });
  }

  // --- The agent that writes

  /** What an agent is writing, in the editor's text. */
  get writing() {
    return this.editor.state.field(openRange);
  }

  /** @param {Writing|null} writing of a version  @param {number} [version] */
  #placeWriting(writing, version) {
    const { session } = this;
    if (version !== undefined && version !== session.version) return;
    if (!writing && !this.writing) return;
    const moved = writing && {
      ...writing,
      from: session.toEditor(writing.from, 1),
      at: session.toEditor(writing.at, 1),
      to: session.toEditor(writing.to, -1),
    };
    this.editor.dispatch({ effects: setWriting.of(moved) });
  }

  revealWriting() {
    const { writing } = this;
    if (writing) this.editor.dispatch({ effects: EditorView.scrollIntoView(writing.at, { y: "center" }) });
  }
}

/** A text that cannot be changed can still be reached and scrolled with the keyboard. */
const FOCUSABLE = EditorView.contentAttributes.of({ tabindex: "0" });
