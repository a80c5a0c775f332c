// What the user may do, as far as the page can tell, so that only that is offered. The server decides (permissions.py,
// which a site may replace). Used by the views.

/** @import { Message, Run, You } from "./types.d.ts" */

/** @param {You|null} you */
export const mayWrite = (you) => you !== null && you.role !== "viewer";

/** Approve or reject the calls of a run. @param {Run} run  @param {You|null} you */
export const mayDecide = (run, you) => mayStop(run, you) && (mayWrite(you) || you?.staff === true);

/** Stop a run. The launcher of a queued run is not known yet. @param {Partial<Run>} run  @param {You|null} you */
export function mayStop(run, you) {
  if (run.launched_by === undefined) return mayWrite(you);
  return you !== null && (run.launched_by?.id === you.id || you.role === "owner" || you.staff === true);
}

/** Returns true for unsent messages as well: they are always the user's. @param {Message} message  @param {You|null} you */
export function isMine(message, you) {
  return message.role === "user" && (message.id === null || message.author?.id === you?.id);
}

let undoTime = 600_000; // ms

/** Sets how long a deletion can be undone. @param {number} seconds */
export function setUndoSeconds(seconds) {
  undoTime = seconds * 1000;
}

/** Milliseconds left to undo a deletion. @param {string|null} [deleted_at] ISO 8601; now if left out */
export function undoTimeLeft(deleted_at) {
  const left = undoTime - (deleted_at ? Date.now() - Date.parse(deleted_at) : 0);
  return Math.min(left, 2 ** 31 - 1); // the most that a timer takes
}

/** Undo the deletion of a message. @param {Message} message  @param {You|null} you */
export const mayRestore = ({ deleted_by }, you) => mayWrite(you) && deleted_by?.id === you?.id;

/** @param {Message} message  @param {You|null} you */
export function mayDelete(message, you) {
  return mayWrite(you) && message.role !== "system" && (isMine(message, you) || you?.role === "owner");
}
