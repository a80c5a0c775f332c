// The documents of a conversation in the state: the part of reducer.js that knows them. Their texts are not in it; the
// editor fetches the text of a document that is opened (documents/session.js).

/** @import { Call, Change, Document, DocumentEvent, EventOf, State, Writing } from "./types.d.ts" */

const ID = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/;

/** @type {Change[]} */
const CHANGED = [{ type: "documents" }];

/** @param {State} state  @param {Document[]} documents */
export function setDocuments(state, documents) {
  state.documents = new Map(documents.map((document) => [document.id, document]));
  return CHANGED;
}

/** A run has ended, so it writes nothing more. @param {State} state  @param {string} run */
export function closeWriting(state, run) {
  const closed = [...state.documents.values()].filter(({ writing }) => writing?.run === run);
  for (const document of closed) state.documents.set(document.id, { ...document, writing: null });
  return closed.length ? CHANGED : [];
}

/** @returns {Change[]} */
function nothing() {
  return [];
}

/** @param {State} state  @param {{document: Document}} event */
function putDocument(state, { document }) {
  const known = state.documents.get(document.id);
  if (known && known.version > document.version) return []; // late: a change has overtaken it
  state.documents.set(document.id, document);
  return CHANGED;
}

/**
 * Only the version and the writer count here: an open document follows the log itself.
 * @param {State} state  @param {{document: string, version: number, writing: Writing|null}} event
 */
function setVersion(state, { document: id, version, writing }) {
  const known = state.documents.get(id);
  if (!known || version <= known.version) return [];
  state.documents.set(id, { ...known, version, writing });
  return known.writing?.run === writing?.run ? [] : CHANGED;
}

/** @type {{[T in DocumentEvent["type"]]: (state: State, event: EventOf<T>) => Change[]}} */
export const documentHandlers = {
  "document.created": putDocument,
  "document.updated": putDocument,

  "document.deleted"(state, { document }) {
    return state.documents.delete(document) ? CHANGED : [];
  },

  "document.changed": setVersion,

  "document.updates"(state, { document, updates, more, writing }) {
    const last = updates.at(-1);
    return !last || more ? [] : setVersion(state, { document, version: last.version, writing });
  },

  // Those are for an open document.
  "document.named": nothing,
  "document.selection": nothing,
  "document.proposed": nothing,
  "document.resolved": nothing,
};

/** True for a call that creates or changes a document. @param {{name: string}} call */
export const isDocumentCall = ({ name }) => /^(create|edit|rewrite)_document$/.test(name);

/** The document that a tool call has created or changed, if it is known. @param {Pick<State, "documents">} state  @param {Call} call  @returns {Document|null} */
export function documentOf({ documents }, call) {
  if (!isDocumentCall(call)) return null;
  const { name, arguments: given, result } = call;
  const { document, title } = /** @type {{document?: unknown, title?: unknown}} */ (given ?? {});
  const id = name === "create_document" ? ID.exec(result ?? "")?.[0] : String(document);
  const wanted = name === "create_document" ? title : document;
  return documents.get(id ?? "") ?? [...documents.values()].findLast((each) => each.title === wanted) ?? null;
}
