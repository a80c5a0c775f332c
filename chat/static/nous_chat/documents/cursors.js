// Where the others are in a document: their cursors and selections, with their names. An extension of the editor. Used by
// pane.js.

import { el } from "../ui/dom.js";
import { Decoration, EditorView, StateEffect, StateField, WidgetType } from "../vendor/codemirror/codemirror.js";

/**
 * @import { Person } from "../protocol/types.d.ts"
 *
 * @typedef {object} Cursor  in the editor's own text
 * @property {Person} user
 * @property {number} anchor
 * @property {number} head
 * @property {number} at  when it came, in ms
 */

const EXPIRES = 60_000; // ms

/** Somebody is somewhere else. @type {import("../vendor/codemirror/codemirror.js").StateEffectType<Cursor>} */
const move = StateEffect.define();
/** Somebody has left, or what came before a time is forgotten. @type {import("../vendor/codemirror/codemirror.js").StateEffectType<{user: string}|{before: number}>} */
const leave = StateEffect.define();

export const cursors = StateField.define({
  create: () => /** @type {Map<string, Cursor>} */ (new Map()),
  update(before, { changes, docChanged, effects }) {
    let all = before;
    if (docChanged && all.size) {
      all = new Map(
        [...all].map(([id, cursor]) => [
          id,
          { ...cursor, anchor: changes.mapPos(cursor.anchor, 1), head: changes.mapPos(cursor.head, 1) },
        ]),
      );
    }
    for (const effect of effects) {
      if (effect.is(move)) all = new Map(all).set(effect.value.user.id, effect.value);
      if (effect.is(leave)) {
        const { value } = effect;
        all = new Map([...all].filter(([id, { at }]) => ("user" in value ? id !== value.user : at >= value.before)));
      }
    }
    return all;
  },
  provide: (field) => EditorView.decorations.from(field, decorate),
});

/** @param {EditorView} view  @param {Cursor} cursor  positions outside of the text are moved to its ends */
export function moveCursor(view, cursor) {
  const inside = (/** @type {number} */ position) => Math.max(0, Math.min(position, view.state.doc.length));
  view.dispatch({ effects: move.of({ ...cursor, anchor: inside(cursor.anchor), head: inside(cursor.head) }) });
}

/** @param {EditorView} view  @param {string} user id */
export function removeCursor(view, user) {
  if (view.state.field(cursors).has(user)) view.dispatch({ effects: leave.of({ user }) });
}

/** The event that removes a cursor can be lost. @param {EditorView} view  @param {number} now in ms */
export function expireCursors(view, now) {
  const before = now - EXPIRES;
  const old = [...view.state.field(cursors).values()].some(({ at }) => at < before);
  if (old) view.dispatch({ effects: leave.of({ before }) });
}

class Caret extends WidgetType {
  /** @param {Person} user */
  constructor(user) {
    super();
    this.user = user;
  }

  /** @param {Caret} other */
  eq(other) {
    return other.user.id === this.user.id && other.user.name === this.user.name;
  }

  toDOM() {
    const className = `person-caret ${hueOf(this.user)}`;
    return el("span", { class: className, "aria-hidden": "true" }, el("span", { dir: "auto" }, this.user.name));
  }

  ignoreEvent() {
    return true;
  }
}

/** @param {Map<string, Cursor>} all */
function decorate(all) {
  const ranges = [];
  for (const { user, anchor, head } of all.values()) {
    const [from, to] = anchor < head ? [anchor, head] : [head, anchor];
    if (from < to) ranges.push(Decoration.mark({ class: `person-selection ${hueOf(user)}` }).range(from, to));
    ranges.push(Decoration.widget({ widget: new Caret(user), side: head > anchor ? -1 : 1 }).range(head));
  }
  return Decoration.set(ranges, true);
}

/** One of eight colours (documents.css); inline styles would need a looser policy. @param {Person} user */
function hueOf({ id }) {
  let sum = 0;
  for (const character of String(id)) sum = (sum * 31 + (character.codePointAt(0) ?? 0)) % 8;
  return `hue-${sum}`;
}
