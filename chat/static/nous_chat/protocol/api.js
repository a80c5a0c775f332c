// Client of the JSON endpoints (docs/protocol.md, "HTTP"), for requests that do not go through a conversation's socket.
// Used by nous-chat.js, conversation.js, the sidebar and the panel.

import { strings } from "../i18n/strings.js";

/**
 * @import { Attachment, Conversation, Document, DocumentKind, DocumentUpdate, Edit, Invitation, Participant } from "./types.d.ts"
 * @import { OpenedDocument, SearchResult } from "./types.d.ts"
 */

/** A request that failed; its message is for the user. */
export class Refused extends Error {
  /**
   * @param {number} [status] HTTP status, 0 if there was no response
   * @param {{message?: string, code?: string}|null} [body] of the response; null if it is not JSON
   */
  constructor(status = 0, body = null) {
    const own = body?.message || (status ? strings.unexpected : strings.unreachable);
    super(status === 401 ? strings.signedOut : own);
    this.status = status;
    /** Django refuses a missing or old CSRF token in its own words; our refusals have a code. */
    this.oldToken = status === 403 && !body?.code;
  }
}

/** Status of a request that something else than the chat has redirected: to a page for signing in. */
const SIGNED_OUT = 401;

/**
 * Does something that the server may refuse; if it does, shows the reason.
 * @template T
 * @param {() => Promise<T>} work
 * @param {(sentence: string) => void} show
 * @returns {Promise<T|null>} the result; null if it was refused
 */
export async function attempt(work, show) {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    show(error.message);
    return null;
  }
}

/** Every method resolves to the body of the response, or throws `Refused`. */
export class Api {
  #base;
  #csrf;

  /** @param {string} base URL, ends in a slash  @param {string} csrf Django's token */
  constructor(base, csrf) {
    this.#base = base;
    this.#csrf = csrf;
  }

  /**
   * The conversations that changed before a time, newest first.
   * @param {string} [before] ISO 8601; now if left out
   * @returns {Promise<{conversations: Conversation[], more: boolean}>}
   */
  conversations(before = "") {
    return this.request("GET", `conversations/?${new URLSearchParams({ before })}`);
  }

  /** @returns {Promise<Conversation>} */
  createConversation() {
    return this.request("POST", "conversations/", {});
  }

  /** @param {string} id  @param {object} fields  @returns {Promise<Conversation>} */
  changeConversation(id, fields) {
    return this.request("PATCH", `conversations/${id}/`, fields);
  }

  /** @param {string} id */
  deleteConversation(id) {
    return this.request("DELETE", `conversations/${id}/`);
  }

  /** @param {string} id  @returns {Promise<Conversation>} */
  restoreConversation(id) {
    return this.request("POST", `conversations/${id}/restore/`, {});
  }

  /** @param {Record<string, string>} query  @returns {Promise<{results: SearchResult[], more: boolean}>} */
  search(query) {
    return this.request("GET", `search/?${new URLSearchParams(query)}`);
  }

  /** Creates a conversation with everything up to a message. @param {string} id  @param {string} message  @returns {Promise<Conversation>} */
  fork(id, message) {
    return this.request("POST", `conversations/${id}/fork/`, { message });
  }

  /** @param {string} id  @param {string} username  @param {string} role  @returns {Promise<Participant>} */
  addParticipant(id, username, role) {
    return this.request("POST", `conversations/${id}/participants/`, { username, role });
  }

  /** @param {string} id  @param {string} participant  @param {string} role  @returns {Promise<Participant>} */
  changeRole(id, participant, role) {
    return this.request("PATCH", `conversations/${id}/participants/${participant}/`, { role });
  }

  /** @param {string} id  @param {string} participant */
  removeParticipant(id, participant) {
    return this.request("DELETE", `conversations/${id}/participants/${participant}/`);
  }

  /** @param {string} id  @returns {Promise<{invitations: Invitation[]}>} */
  invitations(id) {
    return this.request("GET", `conversations/${id}/invitations/`);
  }

  /** @param {string} id  @param {object} terms  @returns {Promise<Invitation>} */
  invite(id, terms) {
    return this.request("POST", `conversations/${id}/invitations/`, terms);
  }

  /** @param {string} id  @param {string} invitation */
  revoke(id, invitation) {
    return this.request("DELETE", `conversations/${id}/invitations/${invitation}/`);
  }

  /** The earlier texts of a message, oldest first. @param {string} id  @param {string} message  @returns {Promise<{edits: Edit[]}>} */
  edits(id, message) {
    return this.request("GET", `conversations/${id}/messages/${message}/edits/`);
  }

  /** @param {string} id of a conversation  @param {{title: string, kind: DocumentKind, language?: string}} fields  @returns {Promise<Document>} */
  createDocument(id, fields) {
    return this.request("POST", `conversations/${id}/documents/`, fields);
  }

  /** A document with its text. @param {string} id  @param {number} [version] default: the newest  @returns {Promise<OpenedDocument>} */
  document(id, version) {
    return this.request("GET", `documents/${id}/${version === undefined ? "" : `?version=${version}`}`);
  }

  /** @param {string} id of a document  @param {string} what  @returns {Promise<any>} */
  ofDocument(id, what) {
    return this.request("GET", `documents/${id}/${what}`);
  }

  /** The address of a document as a file. @param {string} id  @param {number} [version] */
  download(id, version) {
    return `${this.#base}documents/${id}/download/${version === undefined ? "" : `?version=${version}`}`;
  }

  /** A page of a document's log. @param {string} id  @param {number} since version  @returns {Promise<{updates: DocumentUpdate[], more: boolean}>} */
  documentUpdates(id, since) {
    return this.request("GET", `documents/${id}/updates/?since=${since}`);
  }

  /** Deletes an uploaded file that will not be sent. @param {Attachment} attachment */
  discard({ url }) {
    return this.#fetch("DELETE", url);
  }

  /** Throws `Refused` with status 404 if the server no longer has the file. @param {Attachment} attachment */
  find({ url }) {
    return this.#fetch("HEAD", url);
  }

  /** @param {string} method  @param {string} path below the base URL  @param {object} [body] sent as JSON  @returns {Promise<any>} */
  request(method, path, body) {
    return this.#fetch(method, this.#base + path, body);
  }

  /**
   * @param {string} method  @param {string} url  @param {object} [body]  @param {boolean} [renewed] the token is new
   * @returns {Promise<any>}
   */
  async #fetch(method, url, body, renewed = false) {
    const headers = { "X-CSRFToken": this.#csrf, ...(body && { "Content-Type": "application/json" }) };
    const json = body && JSON.stringify(body);
    /** @type {Response} */
    let response;
    try {
      response = await fetch(url, { method, headers, body: json, cache: "no-store", redirect: "manual" });
    } catch {
      throw new Refused();
    }
    if (response.type === "opaqueredirect") throw new Refused(SIGNED_OUT);
    const empty = response.status === 204 || (method === "HEAD" && response.ok);
    const answer = empty ? {} : await response.json().catch(() => null);
    if (response.ok && answer !== null && typeof answer === "object") return answer;
    const refused = new Refused(response.status, answer);
    if (!refused.oldToken || renewed) throw refused;
    await this.renewToken();
    return this.#fetch(method, url, body, true);
  }

  /**
   * Fetches a new CSRF token: signing in, in another tab, makes the page's token invalid.
   * @returns {Promise<string>} the id of the user who is signed in
   */
  async renewToken() {
    const { csrf, user } = await this.#fetch("GET", `${this.#base}token/`, undefined, true);
    this.#csrf = csrf;
    return user;
  }

  /**
   * Uploads a file before its message is sent. Uses XMLHttpRequest, because fetch reports no upload progress.
   * @param {string} conversation id
   * @param {File} file
   * @param {(share: number) => void} onProgress 0 to 1
   * @returns {{done: Promise<Attachment>, abort: () => void}} `done` rejects with `Refused`
   */
  upload(conversation, file, onProgress) {
    const url = new URL(`${this.#base}conversations/${conversation}/attachments/`, location.href).href;
    let request = new XMLHttpRequest();
    const send = () =>
      new Promise((resolve, reject) => {
        const form = new FormData();
        form.append("file", file, file.name || "file");
        request.upload.onprogress = ({ loaded, total }) => onProgress(total ? loaded / total : 0);
        request.onerror = request.onabort = () => reject(new Refused());
        request.onload = () => {
          const { response: answer, status } = request;
          if (status === 201 && answer) resolve(answer);
          else reject(new Refused(request.responseURL === url ? status : SIGNED_OUT, answer));
        };
        request.open("POST", url);
        request.setRequestHeader("X-CSRFToken", this.#csrf);
        request.responseType = "json";
        request.send(form);
      });
    const done = send().catch(async (refused) => {
      if (!refused.oldToken) throw refused;
      await this.renewToken();
      request = new XMLHttpRequest();
      return send();
    });
    return { done, abort: () => request.abort() };
  }
}
