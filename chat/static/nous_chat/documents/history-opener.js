// Opens the history of a document in the place of its text, and closes it. Used by pane.js.

import { strings } from "../i18n/strings.js";

/** @import { Event } from "../protocol/types.d.ts" */

export class HistoryOpener {
  #context;
  #body;
  #onClose;
  /** @type {import("./history.js").History|null} */
  #history = null;

  /**
   * @param {import("./context.js").Context} context
   * @param {HTMLElement} body  hidden while the history is open
   * @param {() => void} onClose
   */
  constructor(context, body, onClose) {
    this.#context = context;
    this.#body = body;
    this.#onClose = onClose;
  }

  async open() {
    const module = await import("./history.js").catch(() => null);
    const { document, mayWrite, status, options } = this.#context;
    if (!module || !document || !this.#body.isConnected) return status.complain(strings.unreachable);
    this.close();
    this.#history = new module.History(document, {
      api: options.api,
      mayWrite,
      send: (command) => this.#context.command(command),
      complain: (sentence) => status.complain(sentence),
      close: () => {
        this.close();
        this.#onClose();
      },
    });
    this.#body.hidden = true;
    this.#body.after(this.#history.element);
    await this.#history.open();
    this.#history?.focus();
  }

  close() {
    this.#history?.stop();
    this.#history?.element.remove();
    this.#history = null;
    this.#body.hidden = false;
  }

  /** @param {Event} event about this document */
  receive(event) {
    this.#history?.receive(event);
  }
}
