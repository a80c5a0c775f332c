// One message as one <article>. It is made once and then only changed: whole by update(), at its end by append(). Its
// parts are classes of their own. Called by messages.js; knows nothing of the other messages.

import { words } from "../i18n/strings.js";
import { settle } from "../markdown/idle.js";
import { MarkdownView } from "../markdown/view.js";
import { isMine, mayDelete, mayRestore, mayWrite, undoLeft } from "../protocol/permissions.js";
import { isActive } from "../protocol/reducer.js";
import { el } from "../ui/dom.js";
import { Actions } from "./actions.js";
import { Alternatives } from "./alternatives.js";
import { Attachments } from "./attachments.js";
import { Signature } from "./byline.js";
import { Editor } from "./editor.js";
import { End } from "./outcome.js";
import { Wait } from "./pending.js";
import { Quote } from "./quote.js";
import { TextView } from "./text.js";
import { Thinking } from "./thinking.js";
import { Calls } from "./tool-calls.js";
import { metaOf } from "./usage.js";

/**
 * @typedef {object} Acts what a person does with a message; requests.js and conversation.js perform it
 * @property {(id: string) => void} again     make this answer again
 * @property {(id: string) => void} proceed   go on from its text
 * @property {(call: string, decision: object) => void} decide
 * @property {(message: object) => void} reply
 * @property {(id: string, text: string, resend: boolean) => void} edit
 * @property {(id: string) => void} remove
 * @property {(id: string) => void} restore
 * @property {(id: string) => void} choose    show this alternative
 * @property {(id: string) => void} fork      begin a new conversation that has all up to here
 * @property {(id: string) => void} versions  what did it say before it was edited?
 * @property {(id: string) => void} open      go to that message
 * @property {() => void} leave               the field of the message is gone, the focus needs a place
 */

export class MessageView {
  #acts;
  #message = null;
  #context = null;
  #parts = {};
  #views = {};
  #editor = null;
  #undoing = 0;

  /** @param {Acts} acts */
  constructor(acts) {
    const part = (name, tag, ...children) =>
      (this.#parts[name] = el(tag, { "data-part": name, dir: "auto" }, ...children));
    const id = (act) => () => acts[act](this.#message.id);
    this.#acts = acts;
    this.#views = {
      by: new Signature(id("versions")),
      quote: new Quote(() => acts.open(this.#message.reply_to)),
      thinking: new Thinking(),
      calls: new Calls(acts.decide),
      wait: new Wait(),
      files: new Attachments(),
      end: new End({ again: id("again"), proceed: id("proceed") }),
      alternatives: new Alternatives(acts.choose),
      actions: new Actions({
        copy: () => this.#copy(),
        again: id("again"),
        reply: () => acts.reply(this.#message),
        edit: () => this.edit(),
        fork: id("fork"),
        remove: id("remove"),
      }),
    };
    const views = this.#views;
    this.element = el(
      "article",
      {},
      views.by.element,
      views.quote.element,
      views.thinking.element,
      views.calls.lines,
      views.wait.element,
      part("text", "div"),
      views.files.element,
      part(
        "deleted",
        "p",
        el("span", {}, words.deletedMessage),
        (this.#parts.undo = el("button", { type: "button", class: "quiet", onclick: id("restore") }, words.undo)),
      ),
      views.calls.cards,
      views.end.element,
      el("div", { class: "under" }, views.alternatives.element, views.actions.element, part("meta", "p")),
    );
  }

  /** How many of its calls wait for a decision. */
  get waiting() {
    return this.#views.calls.waiting;
  }

  get seq() {
    return this.#message.seq;
  }
  get at() {
    return this.#message.created_at;
  }
  get mine() {
    return isMine(this.#message, this.#context.you);
  }

  /** May there be more of it? */
  get #open() {
    return this.#message.run !== null && isActive(this.#message.run);
  }

  /** Messages of the same group, one after the other, have one head. */
  get group() {
    const { role, author, run } = this.#message;
    return role + (author?.id ?? run?.agent?.slug ?? "");
  }

  /**
   * @param {object} message as in the state of apply.js
   * @param {object} context
   * @param {object|null} context.you the reader
   * @param {boolean} context.offered can this answer be made again, or go on, now?
   * @param {boolean} context.resend can one ask again with this message changed?
   * @param {object|null} context.quoted the message that it answers, if that is loaded
   * @param {Map<string, string|null>} context.decisions as in the state
   */
  update(message, context) {
    const before = this.#message;
    this.#message = message;
    this.#context = context;
    const { you, offered, decisions, quoted } = context;
    const { dataset } = this.element;
    dataset.role = message.role;
    if (message.id) dataset.message = message.id;
    if (message.run) dataset.status = message.run.status;
    this.element.toggleAttribute("data-unsent", message.unsent ?? false);
    this.element.toggleAttribute("data-deleted", message.deleted_at !== null);
    this.element.setAttribute("aria-label", this.#views.by.update(message, you));
    this.#views.quote.update(message.reply_to, quoted);
    this.#views.text ??= new (message.role === "assistant" ? MarkdownView : TextView)(this.#parts.text);
    this.#views.text.set(message.text, this.#open);
    this.#views.thinking.set(message.thinking);
    this.#views.calls.update(message, you, decisions);
    this.#views.files.update(message.attachments);
    this.#progress();
    const act = this.#views.end.update(message, you, offered);
    this.#views.alternatives.update(message, mayWrite(you));
    this.#views.actions.update(this.#offers(act));
    this.#deletion();
    const meta = metaOf(message.run);
    this.#parts.meta.hidden = meta === "";
    this.#parts.meta.textContent = meta;
    this.#parts.meta.title = message.run?.model ?? "";
    if (!this.#open) settle(this.element);
    if (before && before.edited_at !== message.edited_at) this.#close();
  }

  /** @param {"text"|"thinking"} part  @param {string} text  @param {object} message with that text in it */
  append(part, text, message) {
    this.#message = message;
    this.#views[part].append(text);
    this.#progress();
  }

  /** The arrow that another alternative had the focus on. @param {Element} arrow */
  focusLike(arrow) {
    this.#views.alternatives.focus(arrow.matches(":last-child"));
  }

  /** The first of a group carries the name. */
  lead(on) {
    this.element.toggleAttribute("data-lead", on);
  }

  /** Puts a field in the place of the text. */
  edit() {
    this.#editor ??= new Editor(this.#message.text, this.#context.resend, {
      save: (text, resend) => this.#acts.edit(this.#message.id, text, resend),
      cancel: () => this.#close(),
    });
    if (!this.#editor.element.parentNode) this.#parts.text.after(this.#editor.element);
    this.element.toggleAttribute("data-editing", true);
    this.#editor.focus();
  }

  /** What was done with it was refused. @param {string} sentence  @returns {boolean} is it shown here? */
  refused(sentence) {
    this.#editor?.complain(sentence);
    return this.#editor !== null;
  }

  #close() {
    if (!this.#editor) return;
    const focused = this.#editor.element.matches(":focus-within");
    this.#editor.element.remove();
    this.#editor = null;
    this.element.removeAttribute("data-editing");
    if (focused) this.#acts.leave();
  }

  /** What moves while an answer is being written. */
  #progress() {
    const message = this.#message;
    this.#parts.text.hidden = message.text === "";
    this.#views.wait.progress(message);
    this.element.toggleAttribute("data-pondering", this.#views.thinking.progress(message));
  }

  /** @param {string|null} act what its end offers already */
  #offers(act) {
    const { you, offered } = this.#context;
    const { id, role, run, text, deleted_at } = this.#message;
    const names = new Set();
    if (!id || role === "system" || deleted_at || this.#open) return names;
    const writer = mayWrite(you);
    const own = writer && isMine(this.#message, you);
    if (text && navigator.clipboard) names.add("copy");
    if (offered && act !== "again") names.add("again");
    if (writer) names.add("reply");
    if (own && text) names.add("edit");
    if (run) names.add("fork");
    if (mayDelete(this.#message, you)) names.add("remove");
    return names;
  }

  #deletion() {
    this.#parts.deleted.hidden = this.#message.deleted_at === null;
    clearTimeout(this.#undoing);
    const left = mayRestore(this.#message, this.#context.you) ? undoLeft(this.#message.deleted_at) : 0;
    this.#undoable(left > 0);
    if (left > 0) this.#undoing = setTimeout(() => this.#undoable(false), left);
  }

  #undoable(on) {
    const focused = this.#parts.undo.matches(":focus");
    this.#parts.undo.hidden = !on;
    if (focused && !on) this.#acts.leave();
  }

  #copy() {
    navigator.clipboard.writeText(this.#message.text).then(
      () => this.#views.actions.done("copy"),
      () => {},
    );
  }
}
