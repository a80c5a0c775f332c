// The dialog in which a reader says what they think of an answer. Loaded by conversation.js when it is first opened.

import { strings } from "../i18n/strings.js";
import { dialog } from "../ui/dialog.js";
import { el } from "../ui/dom.js";

const RATINGS = /** @type {const} */ (["good", "bad"]);

/**
 * Resolves when the dialog shows what the reader thinks so far.
 * @param {Node} root the dialog is added to it  @param {import("../protocol/api.js").Api} api
 * @param {string} conversation  @param {string} message
 */
export async function rate(root, api, conversation, message) {
  const url = `conversations/${conversation}/messages/${message}/feedback/`;
  const { feedback } = await api.request("GET", url);
  const comment = el("textarea", { name: "comment", maxlength: 2000, rows: 3 }, feedback?.comment);
  const choices = RATINGS.map((value) =>
    el(
      "label",
      {},
      el("input", { type: "radio", name: "rating", value, required: true, checked: feedback?.rating === value }),
      strings.rating[value],
    ),
  );
  const problem = el("p", { class: "problem", role: "alert" });
  const form = el(
    "form",
    { onsubmit: (/** @type {Event} */ event) => send(event) },
    ...choices,
    el("label", {}, strings.comment, comment),
    problem,
    el("button", { class: "primary" }, strings.send),
  );
  const element = dialog(strings.action.feedback, "feedback", form);
  element.addEventListener("close", () => element.remove());
  root.appendChild(element);
  element.showModal();

  /** @param {Event} event */
  async function send(event) {
    event.preventDefault();
    try {
      await api.request("PUT", url, Object.fromEntries(new FormData(form)));
      element.close();
    } catch (error) {
      problem.textContent = /** @type {Error} */ (error).message;
    }
  }
}
