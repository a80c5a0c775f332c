// The files of a message: images as thumbnails, others as chips with name and size. Used by message.js.

import { strings } from "../i18n/strings.js";
import { el, icon } from "../ui/dom.js";

/** @import { Attachment } from "../protocol/types.d.ts" */

export class Attachments {
  #shown = "";

  constructor() {
    this.element = el("ul", { class: "files", "aria-label": strings.attachments, hidden: true });
  }

  /** @param {Attachment[]} attachments */
  update(attachments) {
    const ids = attachments.map(({ id }) => id).join();
    if (ids === this.#shown) return;
    this.#shown = ids;
    this.element.hidden = attachments.length === 0;
    this.element.replaceChildren(...attachments.map((attachment) => el("li", {}, linkTo(attachment))));
  }
}

/** @param {Attachment} attachment */
function linkTo({ name, size, url, image }) {
  const title = `${name}, ${strings.size(size)}`;
  const link = el("a", { class: image ? "image" : "file", href: url, target: "_blank", rel: "noopener", title });
  if (image) link.append(el("img", { src: url, alt: name, loading: "lazy", decoding: "async" }));
  else
    link.append(
      icon("file"),
      el("span", { class: "file-name", dir: "auto", translate: "no" }, name),
      el("small", {}, strings.size(size)),
    );
  return link;
}
