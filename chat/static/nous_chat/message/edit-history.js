// What a message said before it was edited, in a window. Called by conversation.js.

import { words } from "../i18n/strings.js";
import { dialog } from "../ui/dialog.js";
import { el } from "../ui/dom.js";

/**
 * @param {Node} root where the window may stand
 * @param {{text: string, edited_by: object|null, edited_at: string}[]} edits oldest first; each text stood there until then
 */
export function showVersions(root, edits) {
  const versions = edits
    .toReversed()
    .map(({ text, edited_by, edited_at }) =>
      el(
        "li",
        {},
        el("p", { class: "until" }, words.versionUntil(words.date(edited_at), edited_by?.name ?? words.somebody)),
        el("p", { class: "text", dir: "auto" }, text),
      ),
    );
  const window = dialog(words.versions, "versions", el("ol", {}, ...versions));
  window.addEventListener("close", () => window.remove());
  root.append(window);
  window.showModal();
}
