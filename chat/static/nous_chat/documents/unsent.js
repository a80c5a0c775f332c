// What the user has typed in a document and the server has not confirmed: in sessionStorage, next to the outbox of
// messages, so that it survives a reload; then it is mapped over what others changed meanwhile. Used by session.js.

import { ChangeSet, Text } from "../vendor/codemirror/codemirror.js";

/**
 * @import { Changes, DocumentUpdate } from "../protocol/types.d.ts"
 *
 * @typedef {object} Unsent  changes of the text of `version`
 * @property {number} version
 * @property {{client_id: string, changes: Changes}|null} pushed  sent; perhaps the server has it
 * @property {Changes|null} rest  after those
 */

/** @param {string} document id */
const keyOf = (document) => `nous-chat:document:${document}`;

/** @param {string} document id  @param {string} user id  @param {Unsent|null} unsent null: everything is confirmed */
export function keepUnsent(document, user, unsent) {
  try {
    if (unsent) sessionStorage.setItem(keyOf(document), JSON.stringify({ by: user, ...unsent }));
    else sessionStorage.removeItem(keyOf(document));
  } catch {
    // The browser forbids storage, or it is full; this page still has it all.
  }
}

/** What an earlier page of the same user left. @param {string} document id  @param {string} user id  @returns {Unsent|null} */
export function readUnsent(document, user) {
  try {
    const stored = JSON.parse(sessionStorage.getItem(keyOf(document)) ?? "null");
    return stored?.by === user ? stored : null;
  } catch {
    return null;
  }
}

/**
 * What turns a text into that of the log, after a change that the log has otherwise. Null if both are equal.
 * @param {ChangeSet} made  @param {ChangeSet} stored  @param {Text} text  before either
 */
export function correct(made, stored, text) {
  if (JSON.stringify(made) === JSON.stringify(stored)) return null;
  return made.invert(text).compose(stored);
}

/**
 * Maps what was left over the updates since its version. What the server has is dropped.
 * @param {Unsent} unsent  @param {DocumentUpdate[]} updates all that follow `unsent.version`, in order
 * @returns {{pushed: {client_id: string, changes: ChangeSet}|null, rest: ChangeSet|null}} changes of the newest text
 * @throws {RangeError} if they do not fit together
 */
export function rebase({ pushed, rest }, updates) {
  let first = pushed && { ...pushed, changes: ChangeSet.fromJSON(pushed.changes) };
  let second = rest && ChangeSet.fromJSON(rest);
  for (const { client_id, changes } of updates) {
    let theirs = ChangeSet.fromJSON(changes);
    if (first && first.client_id === client_id) {
      const { length } = first.changes;
      const correction = correct(first.changes, theirs, Text.of([" ".repeat(length)])); // only places count here
      first = null;
      if (correction) second = second?.map(correction) ?? null;
      continue;
    }
    if (first) {
      const mine = first.changes;
      first = { ...first, changes: mine.map(theirs) };
      theirs = theirs.map(mine, true);
    }
    second = second?.map(theirs) ?? null;
  }
  return { pushed: first, rest: second };
}
