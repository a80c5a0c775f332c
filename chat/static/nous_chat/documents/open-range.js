// What an agent is writing now: shown, and not to be changed by others inside (docs/protocol.md, "Documents"). An extension
// of the editor. Used by pane.js.

import { el } from "../ui/dom.js";
import {
  Decoration,
  EditorState,
  EditorView,
  StateEffect,
  StateField,
  Transaction,
  WidgetType,
} from "../vendor/codemirror/codemirror.js";

/** @import { Writing } from "../protocol/types.d.ts" */

/** @type {import("../vendor/codemirror/codemirror.js").StateEffectType<Writing|null>} */
export const setWriting = StateEffect.define();

/** The open range, in the editor's own text. Null if no agent writes. */
export const openRange = StateField.define({
  create: () => /** @type {Writing|null} */ (null),
  update(writing, transaction) {
    for (const effect of transaction.effects) if (effect.is(setWriting)) return effect.value;
    if (!writing || !transaction.docChanged) return writing;
    const { changes } = transaction;
    const from = changes.mapPos(writing.from, 1); // what somebody types at an end stays outside
    const to = Math.max(from, changes.mapPos(writing.to, -1));
    const at = Math.min(to, Math.max(from, changes.mapPos(writing.at, 1)));
    return { ...writing, from, at, to };
  },
  provide: (field) => EditorView.decorations.from(field, decorate),
});

class Caret extends WidgetType {
  /** @param {string} agent */
  constructor(agent) {
    super();
    this.agent = agent;
  }

  /** @param {Caret} other */
  eq(other) {
    return other.agent === this.agent;
  }

  toDOM() {
    return el("span", { class: "agent-caret", "aria-hidden": "true" }, el("span", {}, this.agent));
  }

  ignoreEvent() {
    return true;
  }
}

/** @param {Writing|null} writing */
function decorate(writing) {
  if (!writing) return Decoration.none;
  const { from, at, to, agent } = writing;
  const ranges = [Decoration.widget({ widget: new Caret(agent.name), side: -1 }).range(at)];
  if (from < at) ranges.unshift(Decoration.mark({ class: "being-written" }).range(from, at));
  if (at < to) ranges.push(Decoration.mark({ class: "being-replaced" }).range(at, to));
  return Decoration.set(ranges, true);
}

/** Refuses what the user would change strictly inside. @param {() => void} onRefused */
export function protectOpenRange(onRefused) {
  return EditorState.changeFilter.of((transaction) => {
    const writing = transaction.startState.field(openRange, false);
    if (!writing || !transaction.docChanged || transaction.annotation(Transaction.remote)) return true;
    let inside = false;
    transaction.changes.iterChangedRanges((from, to) => {
      inside ||= from < writing.to && to > writing.from;
    });
    if (inside) queueMicrotask(onRefused); // a filter must not change anything itself
    return !inside;
  });
}
