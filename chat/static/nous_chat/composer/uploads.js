// The files of the message that is being written: each is a chip that shows the progress of its upload, or why it
// failed. The requests come in as functions. Used by composer.js.

import { strings } from "../i18n/strings.js";
import { el, icon, iconButton } from "../ui/dom.js";

/**
 * @import { Attachment } from "../protocol/types.d.ts"
 * @typedef {object} Files
 * @property {(file: File, onProgress: (share: number) => void) => {done: Promise<Attachment>, abort: () => void}} upload
 * @property {(attachment: Attachment) => void} discard deletes an uploaded file that will not be sent
 * @property {(attachment: Attachment) => Promise<unknown>} find rejects with status 404 if the server no longer has it
 *
 * @typedef {{attachment: Attachment|null, abort: () => void}} Upload
 */

export class Uploads {
  #files;
  #onChange;
  #onRemove;
  /** @type {Map<HTMLElement, Upload>} by chip */
  #uploads = new Map();

  /**
   * @param {Files} files
   * @param {() => void} onChange called when a file was added, uploaded or removed
   * @param {() => void} onRemove called when the user removed a file, and the focus needs a place
   */
  constructor(files, onChange, onRemove) {
    this.#files = files;
    this.#onChange = onChange;
    this.#onRemove = onRemove;
    this.element = el("ul", { class: "files uploads", "aria-label": strings.attachments, hidden: true });
  }

  /** The uploaded files. @returns {Attachment[]} */
  get attachments() {
    return [...this.#uploads.values()].map(({ attachment }) => attachment).filter((attachment) => attachment !== null);
  }

  /** True while an upload is running. */
  get busy() {
    return [...this.#uploads].some(([chip, { attachment }]) => !attachment && chip.dataset.state === "sending");
  }

  get empty() {
    return this.#uploads.size === 0;
  }

  /** @param {Iterable<File>} files */
  add(files) {
    for (const file of files) this.#upload(file);
  }

  /** Shows the files of a refused message or a draft, which the server may have deleted. @param {Attachment[]} attachments */
  giveBack(attachments) {
    for (const attachment of attachments) {
      const chip = this.#addChip(attachment.name, attachment.size);
      this.#uploaded(chip, attachment);
      this.#files.find(attachment).catch(({ status }) => status === 404 && this.#failed(chip, strings.fileGone));
    }
  }

  /** Removes the files after the message was sent, the refused ones too: the user has seen why. */
  clear() {
    for (const chip of this.#uploads.keys()) this.#drop(chip);
    this.#changed();
  }

  /** @param {File} file */
  #upload(file) {
    const chip = this.#addChip(file.name || strings.pasted, file.size);
    const { done, abort } = this.#files.upload(file, (share) => {
      const progress = chip.querySelector("progress");
      if (progress) progress.value = share;
    });
    this.#uploads.set(chip, { attachment: null, abort });
    chip.dataset.state = "sending";
    done.then(
      (attachment) => this.#uploaded(chip, attachment),
      ({ message }) => this.#failed(chip, message),
    );
    this.#changed();
  }

  /** @param {string} name  @param {number} size */
  #addChip(name, size) {
    const remove = iconButton("close", strings.removeFile(name), {
      class: "icon-button small",
      onclick: () => this.#remove(chip),
    });
    const chip = el(
      "li",
      { class: "file" },
      icon("file"),
      el("span", { class: "file-name", dir: "auto", translate: "no" }, name),
      el("small", { role: "status" }, strings.size(size)),
      el("progress", { max: "1", value: "0", "aria-label": strings.uploading(name) }),
      remove,
    );
    this.#uploads.set(chip, { attachment: null, abort: () => {} });
    this.element.append(chip);
    return chip;
  }

  /** @param {HTMLElement} chip  @param {Attachment} attachment */
  #uploaded(chip, attachment) {
    const upload = this.#uploads.get(chip);
    if (!upload) return;
    upload.attachment = attachment;
    chip.dataset.state = "there";
    chip.querySelector("progress")?.remove();
    if (attachment.image) chip.querySelector(".icon-file")?.replaceWith(el("img", { src: attachment.url, alt: true }));
    this.#changed();
  }

  /** @param {HTMLElement} chip  @param {string} sentence */
  #failed(chip, sentence) {
    const upload = this.#uploads.get(chip);
    if (!upload) return;
    upload.attachment = null;
    chip.dataset.state = "failed";
    chip.querySelector("progress")?.remove();
    const status = chip.querySelector("small");
    if (status) status.textContent = sentence;
    this.#changed();
  }

  /** @param {HTMLElement} chip */
  #remove(chip) {
    const upload = this.#uploads.get(chip);
    upload?.abort();
    if (upload?.attachment) this.#files.discard(upload.attachment);
    this.#drop(chip);
    this.#changed();
    this.#onRemove();
  }

  /** @param {HTMLElement} chip */
  #drop(chip) {
    this.#uploads.delete(chip);
    chip.remove();
  }

  #changed() {
    this.element.hidden = this.empty;
    this.#onChange();
  }
}
