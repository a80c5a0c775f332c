// What a user does with a whole document: the items of its menu, and what they ask first. Used by pane.js.

import { strings } from "../i18n/strings.js";
import { copyText } from "../ui/clipboard.js";
import { confirm } from "../ui/dialog.js";
import { el } from "../ui/dom.js";
import { askForText } from "./ask.js";
import { printDocument } from "./print.js";
import { documentStrings as texts } from "./strings.js";

export class DocumentActions {
  #context;
  #openHistory;

  /** @param {import("./context.js").Context} context  @param {() => void} openHistory */
  constructor(context, openHistory) {
    this.#context = context;
    this.#openHistory = openHistory;
  }

  /** @returns {import("../ui/menu.js").MenuItem[]} */
  items() {
    const { mayWrite, mayDelete } = this.#context;
    /** @type {import("../ui/menu.js").MenuItem[]} */
    const items = [
      { icon: "clock", text: texts.history, run: this.#openHistory },
      { icon: "copy", text: texts.copyAll, run: () => this.#copy() },
      { icon: "down", text: texts.download, run: () => this.#download() },
      { icon: "file", text: texts.print, run: () => this.#print() },
    ];
    if (mayWrite) items.push({ icon: "edit", text: texts.rename, run: () => this.#rename() });
    if (mayDelete) items.push({ icon: "delete", text: strings.delete, bad: true, run: () => this.#delete() });
    return items;
  }

  async #copy() {
    const { text, status, options } = this.#context;
    await copyText(text?.text ?? "").then(
      () => options.say(texts.copied),
      () => status.complain(texts.notCopied),
    );
  }

  #download() {
    const { id, options } = this.#context;
    el("a", { href: options.api.download(id), download: true }).click();
  }

  #print() {
    const { place, document, text } = this.#context;
    printDocument(place, document, text?.text ?? "");
  }

  get #shell() {
    const { place } = this.#context;
    return place.closest(".shell") ?? place;
  }

  async #rename() {
    const { id, title: value } = this.#context;
    const question = { title: texts.rename, label: strings.title, value, action: strings.save };
    const title = await askForText(this.#shell, question);
    if (!title) return;
    this.#context.command({ type: "document.update", document: id, title, ref: `document:rename:${id}` });
  }

  async #delete() {
    const { id } = this.#context;
    const question = { title: texts.deleteTitle, text: texts.deleteText, action: strings.delete };
    if (!(await confirm(this.#shell, question))) return;
    this.#context.command({ type: "document.delete", document: id, ref: `document:delete:${id}` });
  }

  undelete() {
    const { id } = this.#context;
    this.#context.command({ type: "document.undelete", document: id, ref: `document:undelete:${id}` });
  }
}
