// HTTP requests, for what needs an answer outside a conversation's socket (docs/protocol.md, "HTTP"). Used by nous-chat.js,
// conversation.js, the list and the panel.

import { words } from "../i18n/strings.js";

export class Refusal extends Error {
  /**
   * @param {number} [status] HTTP status, 0 if there was no answer
   * @param {{message?: string}|null} [body] what came with it; its message is for people
   */
  constructor(status = 0, body = null) {
    super(body?.message || words.unreachable);
    this.status = status;
  }
}

/**
 * Does something that the server may refuse; then its reason is told.
 * @param {() => Promise<any>} work
 * @param {(sentence: string) => void} tell
 * @returns {Promise<any>} what the work gave; null where it was refused
 */
export async function attempt(work, tell) {
  try {
    return await work();
  } catch (refusal) {
    if (!(refusal instanceof Refusal)) throw refusal;
    tell(refusal.message);
    return null;
  }
}

/** Every method gives what the server answered, or throws a Refusal. */
export class Api {
  #base;
  #csrf;

  /** @param {string} base URL, ends in a slash  @param {string} csrf Django's token */
  constructor(base, csrf) {
    this.#base = base;
    this.#csrf = csrf;
  }

  /** Those that changed before that time. @param {string} before ISO 8601 */
  conversations(before) {
    return this.ask("GET", `conversations/?${new URLSearchParams({ before })}`);
  }
  createConversation() {
    return this.ask("POST", "conversations/", {});
  }
  changeConversation(id, fields) {
    return this.ask("PATCH", `conversations/${id}/`, fields);
  }
  deleteConversation(id) {
    return this.ask("DELETE", `conversations/${id}/`);
  }
  restoreConversation(id) {
    return this.ask("POST", `conversations/${id}/restore/`, {});
  }
  search(query) {
    return this.ask("GET", `search/?${new URLSearchParams(query)}`);
  }
  /** A new one that has everything of `id` up to that message. */
  fork(id, message) {
    return this.ask("POST", `conversations/${id}/fork/`, { message });
  }

  addPerson(id, username, role) {
    return this.ask("POST", `conversations/${id}/participants/`, { username, role });
  }
  changeRole(id, person, role) {
    return this.ask("PATCH", `conversations/${id}/participants/${person}/`, { role });
  }
  removePerson(id, person) {
    return this.ask("DELETE", `conversations/${id}/participants/${person}/`);
  }

  invitations(id) {
    return this.ask("GET", `conversations/${id}/invitations/`);
  }
  invite(id, terms) {
    return this.ask("POST", `conversations/${id}/invitations/`, terms);
  }
  revoke(id, invitation) {
    return this.ask("DELETE", `conversations/${id}/invitations/${invitation}/`);
  }

  /**
   * @param {string} method  @param {string} path below the base  @param {object} [body] is sent as JSON
   * @returns {Promise<object>}
   * @throws {Refusal}
   */
  ask(method, path, body) {
    return this.#fetch(method, this.#base + path, body);
  }

  /** A file that was uploaded and will not be sent. @param {object} attachment */
  discard({ url }) {
    return this.#fetch("DELETE", url);
  }
  /** Refused with 404 if the file is not there any more. */
  find({ url }) {
    return this.#fetch("HEAD", url);
  }

  /** What a message said before it was edited, oldest first. */
  edits(id, message) {
    return this.ask("GET", `conversations/${id}/messages/${message}/edits/`);
  }

  async #fetch(method, url, body) {
    const headers = { "X-CSRFToken": this.#csrf, ...(body && { "Content-Type": "application/json" }) };
    let response;
    try {
      response = await fetch(url, { method, headers, body: body && JSON.stringify(body), cache: "no-store" });
    } catch {
      throw new Refusal();
    }
    const answer = await response.json().catch(() => ({}));
    if (!response.ok) throw new Refusal(response.status, answer);
    return answer;
  }

  /**
   * Sends a file ahead of its message. XMLHttpRequest, because fetch does not tell how far a body is.
   * @param {string} conversation its id
   * @param {File} file
   * @param {(share: number) => void} onProgress 0 to 1
   * @returns {{done: Promise<object>, abort: () => void}} an Attachment, or a Refusal
   */
  upload(conversation, file, onProgress) {
    const request = new XMLHttpRequest();
    const form = new FormData();
    form.append("file", file, file.name || "file");
    const done = new Promise((resolve, reject) => {
      request.upload.onprogress = ({ loaded, total }) => onProgress(total ? loaded / total : 0);
      request.onerror = request.onabort = () => reject(new Refusal());
      request.onload = () => {
        const { response: answer, status } = request;
        if (status === 201) resolve(answer);
        else reject(new Refusal(status, answer));
      };
    });
    request.open("POST", `${this.#base}conversations/${conversation}/attachments/`);
    request.setRequestHeader("X-CSRFToken", this.#csrf);
    request.responseType = "json";
    request.send(form);
    return { done, abort: () => request.abort() };
  }
}
