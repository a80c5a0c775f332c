// Decides which actions the page offers. The server checks again (chat/permissions.py, which a site may replace).

/** @import { Message, Run, You } from "./types.d.ts" */

let undoTime = 600_000; // ms

/** What the site lets the user do anywhere: create conversations, attach files, and open conversations in the admin, whose
 * address has `*` for the id. Set by nous-chat.js. */
export const may = { create: true, attach: true, admin: "" };

/** Post messages. @param {You|null} you */
export const mayPost = (you) => you !== null && you.role !== "viewer";

/** @param {You|null} you */
const isOwnerOrStaff = (you) => you !== null && (you.role === "owner" || you.staff);

/** Approve or reject the calls of a run: who may stop it, except a launcher who is a viewer now.
 * @param {Run} run  @param {You|null} you */
export const mayDecide = (run, you) => mayStop(run, you) && (mayPost(you) || isOwnerOrStaff(you));

/** Stop a run. While a queued run's launcher is unknown, everybody who may post is offered it.
 * @param {Partial<Run>} run  @param {You|null} you */
export function mayStop(run, you) {
  if (run.launched_by === undefined) return mayPost(you);
  return isOwnerOrStaff(you) || (you !== null && run.launched_by?.id === you.id);
}

/** Returns true for unsent messages as well: they are always the user's. @param {Message} message  @param {You|null} you */
export function isMine(message, you) {
  return message.role === "user" && (message.id === null || message.author?.id === you?.id);
}

/** Sets how long a deletion can be undone. @param {number} seconds */
export function setUndoSeconds(seconds) {
  undoTime = seconds * 1000;
}

/** Milliseconds left to undo a deletion. @param {string|null} [deleted_at] ISO 8601; default: just deleted */
export function undoTimeLeft(deleted_at) {
  const left = undoTime - (deleted_at ? Date.now() - Date.parse(deleted_at) : 0);
  return Math.min(left, 2 ** 31 - 1); // the most that a timer takes
}

/** Undo the deletion of a message. @param {Message} message  @param {You|null} you */
export const mayRestore = ({ deleted_by }, you) => mayPost(you) && deleted_by?.id === you?.id;

/** Delete a message: its author if they may still post, owners, and staff. @param {Message} message  @param {You|null} you */
export function mayDelete(message, you) {
  return message.role !== "system" && (isOwnerOrStaff(you) || (mayPost(you) && isMine(message, you)));
}
