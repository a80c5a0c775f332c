// What the reader may do, as far as the page can tell: only what he may do is offered. The server has the last word
// (permissions.py, which a site may replace). Used by the views.

/** @param {object|null} you a You of the protocol */
export const mayWrite = (you) => you !== null && you.role !== "viewer";

/** Decide on a run's calls. @param {object} run */
export const mayDecide = (run, you) => mayStop(run, you) && (mayWrite(you) || you.staff === true);

/** Stop a run. Of one that is only asked for, it is not known whose it is. @param {object} run */
export function mayStop(run, you) {
  if (run.launched_by === undefined) return mayWrite(you);
  return you !== null && (run.launched_by?.id === you.id || you.role === "owner" || you.staff === true);
}

/** A bubble that is not sent yet is mine, too. @param {object} message */
export function isMine(message, you) {
  return message.role === "user" && (message.id === null || message.author?.id === you?.id);
}

let undoLasts = 600_000; // ms

/** How long the site lets a deletion be taken back. @param {number} seconds */
export function undoWithin(seconds) {
  undoLasts = seconds * 1000;
}

/** For how many ms more a deletion can be taken back. @param {string} [deleted_at] ISO 8601; without it: just now */
export function undoLeft(deleted_at) {
  const left = undoLasts - (deleted_at ? Date.now() - Date.parse(deleted_at) : 0);
  return Math.min(left, 2 ** 31 - 1); // more is too much for a timer
}

/** Take a deletion back. @param {object} message */
export const mayRestore = ({ deleted_by }, you) => mayWrite(you) && deleted_by?.id === you.id;

/** Delete a message. @param {object} message */
export function mayDelete(message, you) {
  return mayWrite(you) && message.role !== "system" && (isMine(message, you) || you.role === "owner");
}
