// The files of a message: images as thumbnails, others as chips with name and size. Called by message.js.

import { words } from "../i18n/strings.js";
import { el, icon } from "../ui/dom.js";

export class Attachments {
  #shown = "";

  constructor() {
    this.element = el("ul", { class: "files", "aria-label": words.attachments, hidden: true });
  }

  /** @param {object[]} attachments Attachments of the protocol */
  update(attachments) {
    const ids = attachments.map(({ id }) => id).join();
    if (ids === this.#shown) return;
    this.#shown = ids;
    this.element.hidden = attachments.length === 0;
    this.element.replaceChildren(...attachments.map((attachment) => el("li", {}, linkTo(attachment))));
  }
}

function linkTo({ name, size, url, image }) {
  const link = el("a", {
    class: image ? "image" : "file",
    href: url,
    target: "_blank",
    rel: "noopener",
    title: `${name}, ${words.size(size)}`,
  });
  if (image) link.append(el("img", { src: url, alt: name, loading: "lazy", decoding: "async" }));
  else
    link.append(icon("file"), el("span", { class: "file-name", dir: "auto" }, name), el("small", {}, words.size(size)));
  return link;
}
