// Changes that agents propose, shown in the text: what would go is struck out, what would come stands behind it, part by
// part, each to be accepted or rejected. An extension of the editor. Used by pane.js.

import { el, textButton } from "../ui/dom.js";
import {
  ChangeSet,
  Chunk,
  Decoration,
  EditorView,
  StateEffect,
  StateField,
  WidgetType,
} from "../vendor/codemirror/codemirror.js";
import { documentStrings as texts } from "./strings.js";

/**
 * @import { DocumentProposal } from "../protocol/types.d.ts"
 * @import { Text } from "../vendor/codemirror/codemirror.js"
 *
 * @typedef {object} Part  of a proposal, in the editor's own text
 * @property {string} proposal id
 * @property {number} from
 * @property {number} to
 * @property {string} insert
 */

/** @type {import("../vendor/codemirror/codemirror.js").StateEffectType<Part[]>} */
const add = StateEffect.define();
/** @type {import("../vendor/codemirror/codemirror.js").StateEffectType<(part: Part) => boolean>} */
const remove = StateEffect.define();

/** The proposals of one document: the parts that wait, and the line that names them. */
export class Proposals {
  #context;
  #field;
  /** @type {Set<string>} ids of the proposals in the text */
  #known = new Set();
  /** @type {Set<string>} ids of those that somebody has decided on */
  #resolved = new Set();
  /** @type {Set<string>} ids of those that the user has decided on; the server may not know it yet */
  #decided = new Set();

  /** @param {import("./context.js").Context} context */
  constructor(context) {
    this.#context = context;
    this.element = el("div", { class: "document-proposals", hidden: true });
    this.#field = StateField.define({
      create: () => /** @type {Part[]} */ ([]),
      update: updateParts,
      provide: (field) =>
        EditorView.decorations.compute([field], (state) =>
          decorate(
            state.field(field),
            state.doc,
            context.mayWrite ? (part, accept) => this.#decide(part, accept) : null,
          ),
        ),
    });
    this.extension = this.#field;
  }

  get #parts() {
    return this.#context.text?.editor.state.field(this.#field) ?? [];
  }

  /** Shows those that wait, and removes those that no longer do. */
  async load() {
    const { id, options, text } = this.#context;
    if (!this.#parts.length) this.#known.clear(); // the editor may be new
    const before = [...this.#known];
    const { proposals } = await options.api.ofDocument(id, "proposals/");
    if (text !== this.#context.text) return;
    const waiting = new Set(proposals.map((/** @type {DocumentProposal} */ proposal) => proposal.id));
    for (const known of before) if (!waiting.has(known)) this.resolved(known);
    for (const proposal of proposals) {
      if (this.#decided.has(proposal.id)) this.#resolve(proposal.id);
      else await this.place(proposal);
    }
  }

  /** Shows a proposal in the text as it is now. @param {DocumentProposal} proposal */
  async place(proposal) {
    if (this.#known.has(proposal.id) || this.#resolved.has(proposal.id) || this.#decided.has(proposal.id)) return;
    this.#known.add(proposal.id);
    for (let tries = 0; tries < 5; tries++) {
      const updates = await this.#context.updates(proposal.version);
      const { text, options } = this.#context;
      if (!text || !this.#known.has(proposal.id) || this.#parts.some((part) => part.proposal === proposal.id)) return;
      const { editor, session } = text;
      if (session.version > (updates.at(-1)?.version ?? proposal.version)) continue; // it was changed meanwhile
      const since = updates.filter(({ version }) => version <= session.version);
      const theirs = [...since.map(({ changes }) => ChangeSet.fromJSON(changes)), ...session.unconfirmed];
      const mine = theirs.reduce((changes, other) => changes.map(other), ChangeSet.fromJSON(proposal.changes));
      editor.dispatch({ effects: add.of(partsOf(proposal.id, editor.state.doc, mine.apply(editor.state.doc))) });
      if (proposal.agent) options.say(texts.proposes(proposal.agent.name));
      return this.show();
    }
    this.#known.delete(proposal.id);
  }

  /** Somebody has decided on a proposal. @param {string} id */
  resolved(id) {
    this.#known.delete(id);
    this.#resolved.add(id);
    this.#remove(({ proposal }) => proposal === id);
  }

  /** Names how many changes wait. */
  show() {
    const count = this.#parts.length;
    const focused = this.element.matches(":focus-within");
    this.element.hidden = count === 0;
    if (count === 0) return focused ? this.#context.text?.editor.focus() : undefined;
    this.element.replaceChildren(
      el("span", { class: "name" }, texts.proposedChanges(count)),
      textButton(texts.showPlace, () => this.#reveal()),
      ...(this.#context.mayWrite
        ? [
            textButton(texts.acceptAll, () => this.#decideAll(true)),
            textButton(texts.declineAll, () => this.#decideAll(false)),
          ]
        : []),
    );
    if (focused) this.element.querySelector("button")?.focus();
  }

  #reveal() {
    const [first] = this.#parts;
    this.#context.text?.editor.dispatch({ effects: EditorView.scrollIntoView(first.from, { y: "center" }) });
  }

  /** @param {boolean} accept */
  #decideAll(accept) {
    for (const part of this.#parts.toReversed()) this.#decide(part, accept);
  }

  /** What is accepted becomes a change of the user's own. @param {Part} part  @param {boolean} accept */
  #decide(part, accept) {
    const { from, to, insert, proposal } = part;
    const editor = this.#context.text?.editor;
    this.#remove((each) => each === part || (each.from === from && each.to === to && each.proposal === proposal));
    if (accept) editor?.dispatch({ changes: { from, to, insert }, userEvent: "input.accept" });
    if (this.#parts.some((each) => each.proposal === proposal)) return;
    this.#known.delete(proposal);
    this.#decided.add(proposal);
    this.#resolve(proposal);
  }

  /** @param {string} proposal id */
  #resolve(proposal) {
    const { id: document } = this.#context;
    this.#context.command({ type: "document.resolve", document, proposal, ref: `document:resolve:${document}` });
  }

  /** @param {(part: Part) => boolean} which */
  #remove(which) {
    this.#context.text?.editor.dispatch({ effects: remove.of(which) });
    this.show();
  }
}

/** @param {Part[]} before  @param {import("../vendor/codemirror/codemirror.js").Transaction} transaction */
function updateParts(before, { changes, docChanged, effects }) {
  let parts = before;
  if (docChanged && parts.length) {
    parts = parts.map((part) => {
      const from = changes.mapPos(part.from, 1);
      return { ...part, from, to: Math.max(from, changes.mapPos(part.to, -1)) };
    });
  }
  for (const effect of effects) {
    if (effect.is(add)) parts = [...parts, ...effect.value].sort((a, b) => a.from - b.from);
    if (effect.is(remove)) parts = parts.filter((part) => !effect.value(part));
  }
  return parts;
}

/**
 * The lines that are different: accepting all makes the one text from the other.
 * @param {string} proposal id  @param {Text} old  @param {Text} now  @returns {Part[]}
 */
export function partsOf(proposal, old, now) {
  return Chunk.build(old, now).map(({ fromA, toA, fromB, toB }) => {
    // The last line has no line end of its own: the one before it goes or comes with it.
    const last = toA > old.length || toB > now.length ? Math.min(1, fromA, fromB) : 0;
    const from = Math.min(fromA - last, old.length);
    const insert = now.sliceString(Math.min(fromB - last, now.length), Math.min(toB, now.length));
    return { proposal, from, to: Math.max(from, Math.min(toA, old.length)), insert };
  });
}

class Proposed extends WidgetType {
  /** @param {Part} part  @param {((part: Part, accept: boolean) => void)|null} onDecide */
  constructor(part, onDecide) {
    super();
    this.part = part;
    this.onDecide = onDecide;
  }

  /** @param {Proposed} other */
  eq({ part }) {
    const { proposal, insert, from, to } = this.part;
    return part.proposal === proposal && part.insert === insert && part.from === from && part.to === to;
  }

  toDOM() {
    const decide = (/** @type {boolean} */ accept) => () => this.onDecide?.(this.part, accept);
    const buttons = [
      el("button", { type: "button", class: "secondary", onclick: decide(true) }, texts.accept),
      el("button", { type: "button", class: "secondary", onclick: decide(false) }, texts.decline),
    ];
    return el(
      "div",
      { class: "proposal", role: "group", "aria-label": texts.proposedChange },
      el("div", { class: "proposed", dir: "auto" }, this.part.insert.replace(/^\n|\n$/g, "") || texts.proposedDeletion),
      ...(this.onDecide ? buttons : []),
    );
  }

  /** Its buttons are its own. */
  ignoreEvent() {
    return true;
  }
}

/** @param {Part[]} parts  @param {Text} doc  @param {((part: Part, accept: boolean) => void)|null} onDecide */
function decorate(parts, doc, onDecide) {
  const ranges = [];
  for (const part of parts) {
    if (part.from < part.to) ranges.push(Decoration.mark({ class: "proposed-removal" }).range(part.from, part.to));
    const atLineStart = part.to === 0 || doc.sliceString(part.to - 1, part.to) === "\n";
    const side = atLineStart ? -1 : 1; // a block on the other side would leave an empty line
    ranges.push(Decoration.widget({ widget: new Proposed(part, onDecide), side, block: true }).range(part.to));
  }
  return Decoration.set(ranges, true);
}
