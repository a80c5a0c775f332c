// The dialog with the earlier texts of an edited message, and the answers to them that are hidden since it was sent again.
// Called by conversation.js.

import { strings } from "../i18n/strings.js";
import { dialog } from "../ui/dialog.js";
import { el } from "../ui/dom.js";
import { Body } from "./body.js";
import { Byline } from "./byline.js";
import { fill } from "./text.js";

/**
 * @param {Node} root the dialog is added to it
 * @param {import("../protocol/types.d.ts").Edit[]} edits oldest first; each holds the text until then
 */
export function showEditHistory(root, edits) {
  const versions = edits
    .toReversed()
    .map(({ text, edited_by, edited_at, answers }) =>
      el(
        "li",
        {},
        el("p", { class: "until" }, strings.versionUntil(strings.date(edited_at), edited_by?.name ?? strings.somebody)),
        fill(el("p", { class: "text", dir: "auto" }), text),
        ...answers.map(answerOf),
      ),
    );
  const element = dialog(strings.editHistory, "edit-history", el("ol", {}, ...versions));
  element.addEventListener("close", () => element.remove());
  root.appendChild(element);
  element.showModal();
}

/** @param {import("../protocol/types.d.ts").Message} answer */
function answerOf(answer) {
  const byline = new Byline(() => {});
  const body = new Body(
    () => {},
    () => {},
  );
  byline.update(answer, null);
  body.update(answer, null, { decisions: new Map(), documents: new Map() });
  return el("article", { "data-role": "assistant", "data-group-start": true }, byline.element, body.element);
}
