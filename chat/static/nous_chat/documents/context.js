// What the parts of an open document share: which document it is, its text, who reads it, and how to reach the server.
// pane.js creates it.

import { strings } from "../i18n/strings.js";
import { mayPost } from "../protocol/permissions.js";
import { Status } from "./status.js";

/**
 * @import { Document, DocumentCommand, DocumentUpdate, OpenedDocument, Selection, State } from "../protocol/types.d.ts"
 *
 * @typedef {object} Options
 * @property {State} state
 * @property {import("../protocol/api.js").Api} api
 * @property {(command: DocumentCommand) => boolean} send  returns false if the socket is not live
 * @property {(sentence: string) => void} say  for screen readers
 * @property {string} heading  tag of the conversation's title
 * @property {(text: string, selection: Selection) => void} ask  the agent about a part of a document
 */

export class Context {
  /** As it was fetched. @type {OpenedDocument|null} */
  loaded = null;
  /** Null until it has been fetched. @type {import("./live-text.js").LiveText|null} */
  text = null;
  live = false;

  /** @param {string} id  @param {HTMLElement} place  the element that the document fills  @param {Options} options */
  constructor(id, place, options) {
    this.id = id;
    this.place = place;
    this.options = options;
    this.status = new Status(place);
  }

  /** The document as the state has it. @type {Document|null} */
  get document() {
    return this.options.state.documents.get(this.id) ?? this.loaded;
  }

  get title() {
    return this.document?.title ?? "";
  }

  /** Id of the user. */
  get user() {
    return this.options.state.you?.id ?? "";
  }

  get mayWrite() {
    return mayPost(this.options.state.you);
  }

  get mayDelete() {
    const { you } = this.options.state;
    const own = this.document?.created_by?.id === you?.id;
    return you !== null && (you.role === "owner" || you.staff || (own && this.mayWrite));
  }

  /** Sends a command that the user has asked for now. @param {DocumentCommand} command */
  command(command) {
    this.status.complain(this.options.send(command) ? null : strings.unreachable);
  }

  /** All updates after a version. @param {number} since  @returns {Promise<DocumentUpdate[]>} */
  async updates(since) {
    const all = [];
    for (let more = true, last = since; more; ) {
      const page = await this.options.api.documentUpdates(this.id, last);
      all.push(...page.updates);
      last = page.updates.at(-1)?.version ?? last;
      more = page.more && page.updates.length > 0;
    }
    return all;
  }
}
