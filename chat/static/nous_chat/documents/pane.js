// One open document: puts its parts together, and passes on what the server says. documents.js creates it, passes events on,
// and stops it.

import { strings } from "../i18n/strings.js";
import { attempt } from "../protocol/api.js";
import { el, textButton } from "../ui/dom.js";
import { DocumentActions } from "./actions.js";
import { Context } from "./context.js";
import { cursors } from "./cursors.js";
import { DocumentHeader } from "./header.js";
import { HistoryOpener } from "./history-opener.js";
import { LiveText } from "./live-text.js";
import { Modes } from "./modes.js";
import { Proposals } from "./proposals.js";
import { SelectionBar } from "./selection-bar.js";
import { Selections } from "./selections.js";
import { documentStrings as texts } from "./strings.js";
import { Writers } from "./writers.js";

/**
 * @import { Ack, Document, ErrorEvent, Event, OpenedDocument, Person } from "../protocol/types.d.ts"
 * @import { ViewUpdate } from "../vendor/codemirror/codemirror.js"
 */

export class DocumentPane {
  #context;
  #body = el("div", { class: "document-body" });
  #header;
  #actions;
  #history;
  #writers;
  #proposals;
  #selections;
  #selectionBar;
  /** @type {Modes|null} */
  #modes = null;
  /** There is no text: it could not be loaded, or the document is deleted. */
  #failed = false;
  #stopped = false;

  /**
   * @param {string} id
   * @param {HTMLElement} place  it fills this element
   * @param {import("./context.js").Options & {close: () => void}} options
   */
  constructor(id, place, options) {
    this.#context = new Context(id, place, options);
    this.#history = new HistoryOpener(this.#context, this.#body, () => this.focus());
    this.#actions = new DocumentActions(this.#context, () => this.#history.open());
    this.#header = new DocumentHeader(this.#context, { actions: () => this.#actions.items(), close: options.close });
    this.#writers = new Writers(this.#context);
    this.#proposals = new Proposals(this.#context);
    this.#selections = new Selections(this.#context);
    this.#selectionBar = new SelectionBar(this.#context);
  }

  /** Fetches the text, and shows it. */
  async load() {
    const { id, options } = this.#context;
    const opened = await attempt(
      () => options.api.document(id),
      (reason) => this.#fail(reason),
    );
    if (!opened || this.#stopped) return;
    const { documents } = options.state;
    if (!documents.has(id)) documents.set(id, opened);
    this.#failed = false;
    this.#context.loaded = opened;
    await this.#start(this.#build(opened));
  }

  /** @param {string} reason  @param {...(Node|string)} more */
  #fail(reason, ...more) {
    const { place, status } = this.#context;
    const focused = place.matches(":focus-within");
    this.#failed = true;
    this.#history.close();
    this.#header.showTools(false);
    status.complain(null);
    place.replaceChildren(
      this.#header.element,
      el("p", { class: "blank", role: "alert" }, reason, ...more),
      status.problem,
    );
    if (focused) this.#header.focus();
  }

  /** @param {OpenedDocument} opened */
  #build(opened) {
    const { place, status, user, options } = this.#context;
    this.#context.text?.stop();
    this.#history.close();
    const text = new LiveText(opened, {
      user,
      root: /** @type {ShadowRoot} */ (place.getRootNode()),
      mayWrite: () => this.#context.mayWrite,
      updates: (since) => this.#context.updates(since),
      extensions: [cursors, this.#proposals.extension],
      send: options.send,
      refused: (refusal) => status.refused(refusal),
      broken: () => this.#reload(),
      onUpdate: (update) => this.#updated(update),
      onProtected: ({ agent }) => status.complain(texts.isWritingHere(agent.name)),
    });
    this.#context.text = text;
    this.#modes = text.preview && new Modes(place, opened, () => text.preview?.changed());
    this.#header.showModes(this.#modes?.element);
    this.#header.showTools(true);
    this.#body.replaceChildren(...text.elements);
    place.replaceChildren(
      this.#header.element,
      this.#writers.element,
      this.#proposals.element,
      status.problem,
      this.#body,
      this.#selectionBar.element,
      status.element,
      this.#header.menu.element,
    );
    this.#header.show();
    this.#writers.show();
    this.#showStatus();
    return text;
  }

  /** @param {LiveText} text */
  async #start(text) {
    text.session.connected(this.#context.live);
    const started = await attempt(
      () => text.start(),
      (reason) => this.#fail(reason),
    );
    if (!started || this.#stopped || text !== this.#context.text) return;
    this.#showMutability();
    await this.#loadProposals();
  }

  #loadProposals() {
    return attempt(
      () => this.#proposals.load(),
      () => {}, // the text is there without them
    );
  }

  /** The text and the log do not fit together: what the user typed stays in the storage, and is mapped over the new text. */
  async #reload() {
    this.#context.options.say(texts.reloaded);
    await this.load();
  }

  stop() {
    this.#stopped = true;
    this.#selections.stop();
    this.#context.text?.stop();
  }

  focus() {
    const { text, mayWrite } = this.#context;
    const reads = !mayWrite || matchMedia("(pointer: coarse)").matches || this.#modes?.current === "preview";
    if (text && !reads) text.editor.focus();
    else this.#header.focus();
  }

  /** @param {Event} event */
  receive(event) {
    const about = "document" in event ? event.document : null;
    if (about && (typeof about === "string" ? about : about.id) !== this.#context.id) return;
    this.#context.text?.receive(event);
    this.#history.receive(event);
    switch (event.type) {
      case "document.changed":
        return this.#heardOf(event.author);
      case "document.updates":
        if (event.ref === null) for (const { author } of event.updates) this.#heardOf(author);
        return;
      case "document.selection":
        return this.#selections.receive(event);
      case "document.updated":
        return this.#redescribe(event.document);
      case "document.deleted":
        return this.#gone();
      case "document.proposed":
        if (this.#failed) return;
        attempt(
          () => this.#proposals.place(event.proposal),
          (reason) => this.#context.status.complain(reason),
        );
        return;
      case "document.resolved":
        return this.#proposals.resolved(event.proposal);
      case "snapshot":
        return this.#refresh();
      case "participant.updated":
        return this.#showMutability();
    }
  }

  /** Its title has changed, or its kind, which the editor and the preview depend on. @param {Document} document */
  #redescribe({ kind, language }) {
    const { loaded } = this.#context;
    this.#header.show();
    if (loaded && (kind !== loaded.kind || language !== loaded.language)) this.load();
  }

  /** A new connection: what happened meanwhile is in no event. The session asks for changes of the text itself. */
  #refresh() {
    const { document, id, text, options } = this.#context;
    if (!options.state.documents.has(id)) return document && this.#gone();
    if (this.#failed) return this.load();
    this.#showMutability();
    if (document) this.#redescribe(document);
    if (text) this.#loadProposals();
  }

  /** @param {Person|null} author of a change; null for an agent */
  #heardOf(author) {
    if (author?.id === this.#context.user)
      this.#selections.tell(); // its place is exact now
    else if (author) this.#writers.announce(author);
  }

  /** The document was deleted; a user who can delete it can undo that. */
  #gone() {
    const { text, mayDelete } = this.#context;
    text?.session.stop();
    const undo = textButton(strings.undo, () => this.#actions.undelete());
    this.#fail(texts.deleted, ...(mayDelete ? [" ", undo] : []));
  }

  /** @param {Ack|ErrorEvent} reply */
  handleReply(reply) {
    const { id: mine, text, status } = this.#context;
    const [, what, id] = reply.ref?.split(":") ?? [];
    if (id !== mine) return;
    if (what === "push" || what === "sync") text?.session.handleReply(reply);
    else if (reply.type === "error") status.complain(strings.refused(reply));
    this.#showStatus();
  }

  /** @param {boolean} live */
  connected(live) {
    this.#context.live = live;
    this.#context.text?.session.connected(live);
    this.#showStatus();
  }

  /** Called once a second. */
  tick() {
    this.#context.text?.session.tick();
    this.#selections.tick();
    this.#showStatus();
  }

  /** @param {ViewUpdate} update of the editor */
  #updated({ docChanged, transactions, selectionSet, focusChanged, state }) {
    if (docChanged || transactions.some(({ effects }) => effects.length)) this.#writers.show();
    if (docChanged) this.#showStatus();
    if (selectionSet || focusChanged) this.#selections.tell();
    this.#selectionBar.show(!state.selection.main.empty);
  }

  #showMutability() {
    this.#context.text?.showMutability();
    this.#showStatus();
  }

  #showStatus() {
    const { text, mayWrite, live, status } = this.#context;
    const { saved = true, version } = text?.session ?? {};
    status.show({ saved, version, mayWrite, live });
  }
}
