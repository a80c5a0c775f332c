// Files on their way into a message: each a chip that says how far it is, or why it cannot be sent. Made by composer.js;
// the transfer itself comes in as functions.

import { words } from "../i18n/strings.js";
import { el, icon, iconButton } from "../ui/dom.js";

export class Uploads {
  #to;
  #onChange;
  #onRemove;
  #files = new Map(); // element -> {attachment, abort}

  /**
   * @param {object} files
   * @param {(file: File, onProgress: (share: number) => void) => {done: Promise<object>, abort: () => void}} files.upload
   * @param {(attachment: object) => void} files.discard it will not be sent
   * @param {(attachment: object) => Promise<any>} files.find refused with 404 if it is not there any more
   * @param {() => void} onChange one is there, has arrived, or is gone
   * @param {() => void} onRemove the person has removed one; the focus needs a place
   */
  constructor(files, onChange, onRemove) {
    this.#to = files;
    this.#onChange = onChange;
    this.#onRemove = onRemove;
    this.element = el("ul", { class: "files uploads", "aria-label": words.attachments, hidden: true });
  }

  /** What has arrived. @returns {object[]} Attachments */
  get attachments() {
    return [...this.#files.values()].map(({ attachment }) => attachment).filter(Boolean);
  }

  /** Is one still on its way? */
  get busy() {
    return [...this.#files].some(([element, { attachment }]) => !attachment && element.dataset.state === "sending");
  }

  get empty() {
    return this.#files.size === 0;
  }

  /** @param {Iterable<File>} files */
  add(files) {
    for (const file of files) this.#begin(file);
  }

  /** Attachments of a message that was refused, or of a draft: the server may have forgotten them. */
  giveBack(attachments) {
    for (const attachment of attachments) {
      const chip = this.#chip(attachment.name, attachment.size);
      this.#arrived(chip, attachment);
      this.#to.find(attachment).catch(({ status }) => status === 404 && this.#failed(chip, words.fileGone));
    }
  }

  /** What has arrived is in a message now; what could not be sent stays, and says so. */
  clear() {
    for (const [chip, { attachment }] of this.#files) if (attachment) this.#drop(chip);
    this.#changed();
  }

  #begin(file) {
    const chip = this.#chip(file.name || words.pasted, file.size);
    const { done, abort } = this.#to.upload(file, (share) => (chip.querySelector("progress").value = share));
    this.#files.get(chip).abort = abort;
    chip.dataset.state = "sending";
    done.then(
      (attachment) => this.#arrived(chip, attachment),
      ({ message }) => this.#failed(chip, message),
    );
    this.#changed();
  }

  #chip(name, size) {
    const remove = iconButton("close", words.removeFile(name), {
      class: "bare small",
      onclick: () => this.#remove(chip),
    });
    const chip = el(
      "li",
      { class: "file" },
      icon("file"),
      el("span", { class: "file-name", dir: "auto" }, name),
      el("small", { role: "status" }, words.size(size)),
      el("progress", { max: "1", value: "0", "aria-label": words.uploading(name) }),
      remove,
    );
    this.#files.set(chip, { attachment: null, abort: () => {} });
    this.element.append(chip);
    return chip;
  }

  #arrived(chip, attachment) {
    if (!this.#files.has(chip)) return;
    this.#files.get(chip).attachment = attachment;
    chip.dataset.state = "there";
    chip.querySelector("progress").remove();
    if (attachment.image) chip.querySelector(".icon-file").replaceWith(el("img", { src: attachment.url, alt: true }));
    this.#changed();
  }

  #failed(chip, sentence) {
    if (!this.#files.has(chip)) return;
    this.#files.get(chip).attachment = null;
    chip.dataset.state = "failed";
    chip.querySelector("progress")?.remove();
    chip.querySelector("small").textContent = sentence;
    this.#changed();
  }

  #remove(chip) {
    const { attachment, abort } = this.#files.get(chip);
    abort();
    if (attachment) this.#to.discard(attachment);
    this.#drop(chip);
    this.#changed();
    this.#onRemove();
  }

  #drop(chip) {
    this.#files.delete(chip);
    chip.remove();
  }

  #changed() {
    this.element.hidden = this.empty;
    this.#onChange();
  }
}
