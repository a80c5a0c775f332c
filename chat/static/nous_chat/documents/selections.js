// Where people are in a document: tells the others where the user is, and shows where they are. Used by pane.js.

import { expireCursors, moveCursor, removeCursor } from "./cursors.js";

/** @import { EventOf } from "../protocol/types.d.ts" */

const TELL_EVERY = 250; // ms; the server passes on five a second

export class Selections {
  #context;
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #timer;
  #told = false;

  /** @param {import("./context.js").Context} context */
  constructor(context) {
    this.#context = context;
  }

  /** Tells the others where the user is: soon, but not with each key. */
  tell() {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      const { text, mayWrite, live } = this.#context;
      if (!text || !mayWrite || !live) return;
      const { anchor, head } = text.editor.state.selection.main;
      if (text.editor.hasFocus) this.#send(anchor, head);
      else if (this.#told) this.#send(null, null);
    }, TELL_EVERY);
  }

  /** The user leaves the document. */
  stop() {
    clearTimeout(this.#timer);
    if (this.#told) this.#send(null, null);
  }

  /** @param {number|null} anchor  @param {number|null} head  in the editor's text */
  #send(anchor, head) {
    const { id: document, text, options } = this.#context;
    if (!text) return;
    const { session } = text;
    const place = (/** @type {number|null} */ position) => position && session.fromEditor(position);
    this.#told = anchor !== null;
    const { version } = session;
    options.send({ type: "document.select", document, version, anchor: place(anchor), head: place(head) });
  }

  /** A place in an older version is off by what was changed since, until they move again. @param {EventOf<"document.selection">} event */
  receive({ user, anchor, head }) {
    const { text, user: mine } = this.#context;
    if (!text || user.id === mine) return;
    const { editor, session } = text;
    if (anchor === null || head === null) return removeCursor(editor, user.id);
    const at = performance.now();
    moveCursor(editor, { user, anchor: session.toEditor(anchor, 1), head: session.toEditor(head, 1), at });
  }

  /** Called once a second. */
  tick() {
    const { text } = this.#context;
    if (text) expireCursors(text.editor, performance.now());
  }
}
