// The dialog with the earlier texts of an edited message. Called by conversation.js.

import { strings } from "../i18n/strings.js";
import { dialog } from "../ui/dialog.js";
import { el } from "../ui/dom.js";

/**
 * @param {Node} root the dialog is added to it
 * @param {import("../protocol/types.d.ts").Edit[]} edits oldest first; each holds the text until then
 */
export function showEditHistory(root, edits) {
  const versions = edits
    .toReversed()
    .map(({ text, edited_by, edited_at }) =>
      el(
        "li",
        {},
        el("p", { class: "until" }, strings.versionUntil(strings.date(edited_at), edited_by?.name ?? strings.somebody)),
        el("p", { class: "text", dir: "auto" }, text),
      ),
    );
  const element = dialog(strings.editHistory, "edit-history", el("ol", {}, ...versions));
  element.addEventListener("close", () => element.remove());
  root.appendChild(element);
  element.showModal();
}
