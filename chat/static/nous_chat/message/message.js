// One message as an <article>. It is created once and then only changed: update() for the whole of it, append() for text
// at its end. Its parts are classes of their own. Used by message-list.js; it knows no other messages.

import { strings } from "../i18n/strings.js";
import { settle } from "../markdown/idle.js";
import { isMine, may, mayDelete, mayPost, mayRestore, undoTimeLeft } from "../protocol/permissions.js";
import { isActive } from "../protocol/reducer.js";
import { copyText } from "../ui/clipboard.js";
import { el, textButton } from "../ui/dom.js";
import { Actions } from "./actions.js";
import { Alternatives } from "./alternatives.js";
import { Attachments } from "./attachments.js";
import { Body } from "./body.js";
import { Byline } from "./byline.js";
import { Editor } from "./editor.js";
import { Outcome, usageOf } from "./outcome.js";
import { Pending } from "./pending.js";
import { Quote } from "./quote.js";

/**
 * @import { Decision, Message, State, You } from "../protocol/types.d.ts"
 *
 * @typedef {object} Acts what a user does with a message; conversation.js carries it out
 * @property {(id: string) => void} retry        request another answer
 * @property {(id: string) => void} continue     continue this answer from its text
 * @property {(call: string, decision: Decision) => void} decide
 * @property {(id: string) => void} rate         say whether this answer is good
 * @property {(message: Message) => void} reply
 * @property {(id: string, text: string, resend: boolean) => void} edit
 * @property {(id: string) => void} delete
 * @property {(id: string) => void} restore
 * @property {(id: string) => void} choose       show this alternative
 * @property {(id: string) => void} fork         create a conversation with everything up to here
 * @property {(id: string) => void} showHistory  show the texts from before it was edited
 * @property {(id: string) => void} openDocument
 * @property {() => void} leave                  the focused field of the message is gone
 *
 * @typedef {object} Context
 * @property {You|null} you
 * @property {boolean} offered       true if this answer can be retried or continued now
 * @property {boolean} resend        true if the agent can be asked again after an edit
 * @property {Message|null} quoted   the message that this one replies to, if it is loaded
 * @property {Pick<State, "decisions"|"documents">} state
 */

export class MessageView {
  #acts;
  #parts;
  #views;
  /** @type {Message} */
  #message;
  /** @type {Context} */
  #context;
  /** @type {Editor|null} */
  #editor = null;
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #undoTimer;

  /** @param {Acts & {open: (id: string) => void}} acts `open` goes to another message */
  constructor(acts) {
    const part = (/** @type {string} */ name, /** @type {"div"|"p"} */ tag, /** @type {Node[]} */ ...children) =>
      el(tag, { "data-part": name, dir: "auto" }, ...children);
    const withId = (/** @type {(id: string) => void} */ act) => () => this.#message.id && act(this.#message.id);
    this.#acts = acts;
    this.#views = {
      byline: new Byline(withId(acts.showHistory)),
      quote: new Quote(() => this.#message.reply_to && acts.open(this.#message.reply_to)),
      body: new Body(acts.decide, acts.openDocument),
      pending: new Pending(),
      files: new Attachments(),
      outcome: new Outcome({ retry: withId(acts.retry), continue: withId(acts.continue) }),
      alternatives: new Alternatives(acts.choose),
      actions: new Actions({
        copy: () => this.#copy(),
        retry: withId(acts.retry),
        feedback: withId(acts.rate),
        reply: () => acts.reply(this.#message),
        edit: () => this.edit(),
        fork: withId(acts.fork),
        delete: withId(acts.delete),
      }),
    };
    const undo = textButton(strings.undo, withId(acts.restore));
    this.#parts = {
      undo,
      usage: part("usage", "p"),
      deleted: part("deleted", "p", el("span", {}, strings.deletedMessage), undo),
    };
    const { byline, quote, body, pending, files, outcome, alternatives, actions } = this.#views;
    this.element = el(
      "article",
      {},
      byline.element,
      quote.element,
      body.element,
      pending.element,
      files.element,
      this.#parts.deleted,
      outcome.element,
      el("div", { class: "message-footer" }, alternatives.element, actions.element, this.#parts.usage),
    );
  }

  /** How many of its calls await a decision. */
  get approvals() {
    return this.#views.body.approvals;
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

  /** True while the answer may grow. */
  get #open() {
    return this.#message.run !== null && isActive(this.#message.run);
  }

  /** Consecutive messages of the same group share one byline. */
  get group() {
    const { role, author, run } = this.#message;
    return role + (author?.id ?? run?.agent?.slug ?? "");
  }

  /** @param {Message} message of the state  @param {Context} context */
  update(message, context) {
    const before = this.#message;
    this.#message = message;
    this.#context = context;
    const { you, offered, quoted } = context;
    const { dataset } = this.element;
    dataset.role = message.role;
    if (message.id) dataset.message = message.id;
    if (message.run) dataset.status = message.run.status;
    this.element.toggleAttribute("data-unsent", message.unsent ?? false);
    this.element.toggleAttribute("data-deleted", message.deleted_at !== null);
    this.element.setAttribute("aria-label", this.#views.byline.update(message, you));
    this.#views.quote.update(message.reply_to, quoted);
    this.#updateBody();
    this.#views.files.update(message.attachments);
    const act = this.#views.outcome.update(message, you, offered);
    this.#views.alternatives.update(message, mayPost(you));
    this.#views.actions.update(this.#offeredActions(act));
    this.#updateDeletion();
    const usage = usageOf(message);
    this.#parts.usage.hidden = usage === "";
    this.#parts.usage.textContent = usage;
    this.#parts.usage.title = message.run?.model ?? "";
    if (!this.#open) settle(this.element);
    if (before && before.edited_at !== message.edited_at) this.#closeEditor();
    this.#editor?.offerResend(context.resend);
  }

  /** @param {"text"|"thinking"} part  @param {string} text  @param {Message} message that includes the text */
  append(part, text, message) {
    this.#message = message;
    if (!this.#views.body.append(part, text, message)) this.#updateBody();
  }

  /** Focuses the arrow that corresponds to one of another alternative. @param {Element} arrow */
  focusLike(arrow) {
    this.#views.alternatives.focus(arrow.matches(":last-child"));
  }

  /** Shows the byline if the message is the first of its group. @param {boolean} on */
  startsGroup(on) {
    this.element.toggleAttribute("data-group-start", on);
  }

  /** Replaces the text with a field. */
  edit() {
    this.#editor ??= new Editor(this.#message.text, {
      save: (text, resend) => this.#message.id && this.#acts.edit(this.#message.id, text, resend),
      cancel: () => this.#closeEditor(),
    });
    this.#editor.offerResend(this.#context.resend);
    if (!this.#editor.element.parentNode) this.#views.body.element.after(this.#editor.element);
    this.element.toggleAttribute("data-editing", true);
    this.#editor.focus();
  }

  /** Shows why a change was refused. @param {string} sentence  @returns {boolean} false if no field is open to show it */
  refused(sentence) {
    this.#editor?.complain(sentence);
    return this.#editor !== null;
  }

  #closeEditor() {
    if (!this.#editor) return;
    const focused = this.#editor.element.matches(":focus-within");
    this.#editor.element.remove();
    this.#editor = null;
    this.element.removeAttribute("data-editing");
    if (focused) this.#acts.leave();
  }

  #updateBody() {
    const { body, pending } = this.#views;
    body.update(this.#message, this.#context.you, this.#context.state);
    pending.update(this.#message);
    this.element.toggleAttribute("data-thinking", body.thinking);
  }

  /** @param {"continue"|"retry"|null} act that the outcome offers already */
  #offeredActions(act) {
    const { you, offered } = this.#context;
    const { id, role, run, text, deleted_at } = this.#message;
    /** @type {Set<import("./actions.js").Action>} */
    const names = new Set();
    if (!id || role === "system" || deleted_at || this.#open) return names;
    const writer = mayPost(you);
    if (text) names.add("copy");
    if (offered && act !== "retry") names.add("retry");
    if (run) names.add("feedback");
    if (writer) names.add("reply");
    if (writer && isMine(this.#message, you) && text) names.add("edit");
    if (run && may.create) names.add("fork");
    if (mayDelete(this.#message, you)) names.add("delete");
    return names;
  }

  #updateDeletion() {
    this.#parts.deleted.hidden = this.#message.deleted_at === null;
    clearTimeout(this.#undoTimer);
    const left = mayRestore(this.#message, this.#context.you) ? undoTimeLeft(this.#message.deleted_at) : 0;
    this.#showUndo(left > 0);
    if (left > 0) this.#undoTimer = setTimeout(() => this.#showUndo(false), left);
  }

  /** @param {boolean} on */
  #showUndo(on) {
    const focused = this.#parts.undo.matches(":focus");
    this.#parts.undo.hidden = !on;
    if (focused && !on) this.#acts.leave();
  }

  #copy() {
    copyText(this.#message.text).then(
      () => this.#views.actions.done("copy"),
      () => {},
    );
  }
}
