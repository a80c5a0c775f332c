// Reducer of a conversation, by the rules of docs/protocol.md: applies an event to the state and returns what the views
// and the socket have to do. It has no DOM, clock or network; conversation.js performs the changes.

import { closeWriting, documentHandlers, setDocuments } from "./documents.js";
import { addPart, lengthOf } from "./parts.js";

/** @import { Call, Change, Event, EventOf, Message, Person, Run, RunState, State } from "./types.d.ts" */

const IN_PROGRESS = new Set(["queued", "running"]);
const AWAITING = "awaiting_approval";
const PRESENCE_EXPIRES = 60_000; // ms
export const TYPING_EXPIRES = 60_000; // ms, in case the frame that ends it is lost

/** @returns {State} */
export function emptyState() {
  return {
    you: null,
    conversation: null,
    yours: null,
    messages: new Map(),
    hidden: new Set(),
    runs: new Map(),
    documents: new Map(),
    participants: new Map(),
    presence: new Map(),
    typing: new Map(),
    outages: new Map(),
    more: false,
    lastSeq: 0,
    fillingGap: false,
    unread: null,
    unanswered: null,
    decisions: new Map(),
  };
}

/** @param {{status: string}} run */
export const isInProgress = (run) => IN_PROGRESS.has(run.status);

/** Returns true until the run has reached a final status. @param {{status: string}} run */
export const isActive = (run) => isInProgress(run) || run.status === AWAITING;

/** @param {Call} call  @param {{status: string}} run the run of that call */
export const awaitsApproval = (call, run) => call.status === AWAITING && isActive(run);

/** Active runs, oldest first. @param {State} state  @returns {[string, RunState][]} */
export function activeRuns(state) {
  return [...state.runs].filter(([, run]) => isActive(run));
}

/** @param {State} state  @returns {Call[]} */
export function callsAwaitingApproval(state) {
  return activeRuns(state).flatMap(([, run]) =>
    (state.messages.get(run.key ?? "")?.calls ?? []).filter((call) => awaitsApproval(call, run)),
  );
}

/** The newest visible message that the server has; system messages and deleted ones do not count. @param {State} state */
export function lastMessage(state) {
  return newest(state, ({ role, deleted_at }) => role !== "system" && !deleted_at);
}

/** The user's newest message that can be edited. @param {State} state */
export function lastOwnMessage(state) {
  return newest(state, ({ author, deleted_at }) => author !== null && author.id === state.you?.id && !deleted_at);
}

/** The user's last message, if nobody has written after it: agents can answer another version of it. @param {State} state */
export function lastQuestion(state) {
  const last = lastOwnMessage(state);
  const isNewer = (/** @type {Message} */ { role, seq, deleted_at }) =>
    role === "user" && last !== null && seq > last.seq && !deleted_at; // an unsent one is newer than all
  return [...state.messages.values()].some(isNewer) ? null : last;
}

/** Returns false if another alternative is shown instead. @param {State} state  @param {string|null} id */
export const isShown = (state, id) => !state.hidden.has(id ?? "");

/** @param {State} state  @param {string|null} id  @returns {Message|null} */
export function messageById(state, id) {
  if (id) for (const message of state.messages.values()) if (message.id === id) return message;
  return null;
}

/** Everyone who is reading now, each once. @param {State} state  @returns {Person[]} */
export function presentPeople({ presence }) {
  const people = new Map();
  for (const host of presence.values()) for (const person of host.people) people.set(person.id, person);
  return [...people.values()];
}

/** The runs of all loaded answers; those of an answer that another one continues count in that one. @param {State} state */
function countedRuns({ messages }) {
  const all = [...messages.values()];
  const continued = new Set(all.map(({ continues, replaces }) => (continues ? replaces : null)));
  return all.filter(({ id }) => !id || !continued.has(id)).map(({ run }) => run);
}

/** Tokens of all loaded answers. @param {State} state */
export function totalTokens(state) {
  return countedRuns(state).reduce((total, run) => total + (run?.usage?.total_tokens ?? 0), 0);
}

/** Cost of all loaded answers, as far as it is known. @param {State} state */
export function totalCost(state) {
  return countedRuns(state).reduce((total, run) => total + Number(run?.cost ?? 0), 0);
}

/**
 * The key under which a message keeps its place in the state and on the page. The user's own message keeps its client_id,
 * so that the stored message replaces the unsent one; an answer keeps its run's id, so that it replaces the queued one.
 * @param {State} state  @param {Message} message  @returns {string}
 */
export function keyOf(state, message) {
  if (message.client_id && message.author?.id === state.you?.id) return message.client_id;
  return message.run?.id ?? /** @type {string} */ (message.id);
}

/**
 * Applies one event to the state; the only function that changes it. Unknown events change nothing.
 * @param {State} state  @param {Event} event  @returns {Change[]}
 */
export function apply(state, event) {
  const handler = /** @type {((state: State, event: Event) => Change[])|undefined} */ (handlers[event.type]);
  return handler?.(state, event) ?? [];
}

/** @type {{[T in Event["type"]]: (state: State, event: EventOf<T>) => Change[]}} */
const handlers = {
  snapshot(state, event) {
    /** @type {Change[]} */
    const changes = [{ type: "conversation" }, { type: "history" }];
    const first = state.you === null;
    if (state.you?.id !== event.you.id) state.decisions.clear();
    state.you = event.you;
    state.participants = new Map(event.participants.map((participant) => [participant.id, participant]));
    state.presence.clear();
    state.outages.clear();
    const known = new Set([...state.messages.values()].map((message) => message.id));
    const overlaps = !event.more || event.messages.some((message) => known.has(message.id));
    if (!first && !overlaps) changes.push(...dropStored(state));
    state.more = first || !overlaps ? event.more : state.more && event.more;
    state.conversation = event.conversation;
    state.yours = event.conversation.yours ?? null;
    if (first) state.unread = state.yours?.unread ? state.yours.last_read : null;
    state.typing.clear();
    state.fillingGap = false;
    if (first || !overlaps) state.lastSeq = event.messages.at(-1)?.seq ?? 0;

    for (const message of event.messages) changes.push(...store(state, message), ...showAlternative(state, message));
    if (!first && overlaps) changes.push(...hideMissing(state, event));
    for (const run of event.runs) changes.push(...expectRun(state, run));
    const active = new Set(event.runs.map((run) => run.id));
    for (const [id, run] of state.runs) {
      run.outOfSync = false;
      if (isActive(run) && !active.has(id)) changes.push(sync(id));
    }
    const expected = (state.conversation.answers ?? "always") === "always" && lastMessage(state)?.role === "user";
    state.unanswered = expected && activeRuns(state).length === 0 ? { status: null } : null;
    return [...changes, ...setDocuments(state, event.documents), { type: "people" }];
  },

  "message.created"(state, { message }) {
    state.unanswered = null;
    state.typing.delete(message.author?.id ?? "");
    return [...fillGap(state, message.seq), ...store(state, message)];
  },

  /** Edited, or chosen among its alternatives. */
  "message.updated"(state, { message }) {
    return [...store(state, message), ...showAlternative(state, message)];
  },

  "message.deleted"(state, { message }) {
    if (lastMessage(state)?.id === message.id) state.unanswered = null;
    return store(state, message);
  },

  "run.queued"(state, { run: id, place }) {
    if (!state.runs.has(id)) expectQueued(state, id);
    const { key, status } = runState(state, id);
    const message = state.messages.get(key ?? "");
    if (!key || !message?.run || status !== "queued") return [];
    message.run = { ...message.run, place };
    return [changed(key)];
  },

  /** The model is busy, and is asked again in `retry_in` seconds. `at` is the time of arrival; conversation.js adds it. */
  "run.waiting"(state, { run, retry_in, at }) {
    runState(state, run).retryAt = at + retry_in * 1000;
    return [];
  },

  /** The agent's model does not answer; another one does. */
  "run.fallback"(state, { run: id }) {
    const run = runState(state, id);
    run.fellBack = true;
    run.retryAt = null;
    return [];
  },

  "run.started"(state, { message }) {
    state.unanswered = null;
    return [...fillGap(state, message.seq), ...store(state, message), ...showAlternative(state, message)];
  },

  "run.delta"(state, event) {
    return inOrder(state, event, (message, key) => {
      /** @type {Change[]} */
      const changes = [];
      for (const part of /** @type {const} */ (["thinking", "text"])) {
        const text = event[part];
        if (!text) continue;
        message[part] += text;
        message.parts = addPart(message.parts, { type: part, length: lengthOf(text) }, message.continues);
        changes.push({ type: "append", key, part, text });
      }
      return changes;
    });
  },

  "run.tool"(state, event) {
    return inOrder(state, event, (message, key) => {
      const known = message.calls.some(({ id }) => id === event.call.id);
      message.calls = known
        ? message.calls.map((call) => (call.id === event.call.id ? event.call : call))
        : [...message.calls, event.call];
      if (!known) message.parts = addPart(message.parts, { type: "call", call: event.call.id });
      return [changed(key)];
    });
  },

  "run.state"(state, event) {
    const run = runState(state, event.run);
    const retryIn = event.message?.run?.retry_in;
    run.retryAt = retryIn ? event.at + retryIn * 1000 : null;
    run.outOfSync = false;
    return event.message ? storeAnswer(state, event.message, event.seq) : [];
  },

  "run.finished"(state, event) {
    const run = runState(state, event.run);
    run.status = event.status;
    const changes = closeWriting(state, event.run);
    if (event.message) return [...changes, ...storeAnswer(state, event.message)];
    const { status, error } = event;
    state.unanswered = activeRuns(state).length ? null : { status, error };
    const begun = run.key && state.messages.delete(run.key);
    return [...changes, begun && run.key ? changed(run.key) : { type: "conversation" }];
  },

  ...documentHandlers,

  typing(state, { user, on }) {
    if (!on) state.typing.delete(user.id);
    else if (user.id !== state.you?.id) state.typing.set(user.id, user.name);
    return [];
  },

  "participant.joined": putParticipant,
  "participant.updated": putParticipant,

  "participant.left"(state, { participant }) {
    state.participants.delete(participant.id);
    state.typing.delete(participant.user.id);
    return [{ type: "people" }];
  },

  /** `at` is the time of arrival in milliseconds; conversation.js adds it. */
  presence(state, { host, people, at }) {
    if (people.length) state.presence.set(host, { people, at });
    else state.presence.delete(host);
    return [{ type: "people" }];
  },

  "local.presence_expired"(state, { now }) {
    const silent = [...state.presence].filter(([, { at }]) => now - at > PRESENCE_EXPIRES).map(([host]) => host);
    for (const host of silent) state.presence.delete(host);
    return silent.length ? [{ type: "people" }] : [];
  },

  /** The server has lost its database or its channel layer, or has it back. */
  notice(state, { code, message }) {
    const [service, change] = code.split("_");
    if (change === "back") state.outages.delete(service);
    else state.outages.set(service, message);
    return [];
  },

  /** The frame that ends typing must have been lost. */
  "local.typing_expired"(state) {
    state.typing.clear();
    return [];
  },

  "conversation.updated"(state, { conversation }) {
    state.conversation = conversation;
    state.yours = conversation.yours ?? state.yours; // null in a frame that goes to all participants
    // The answer of an active run counts in last_seq, and its run.started may still be on its way.
    return [{ type: "conversation" }, ...(conversation.running ? [] : fillGap(state, conversation.last_seq + 1))];
  },

  /** Reveals frames that were lost at the end, where no later frame shows the gap. */
  "conversation.state"(state, { last_seq, run }) {
    const missed = activeRuns(state)
      .map(([id]) => id)
      .filter((id) => id !== run);
    if (run && !state.runs.has(run)) missed.push(run);
    return [...fillGap(state, last_seq + 1), ...missed.map(sync)];
  },

  "history.page"(state, event) {
    const changes = event.messages.flatMap((message) => [...store(state, message), ...showAlternative(state, message)]);
    if (event.ref === "fill") state.fillingGap = false;
    else state.more = event.more;
    return [...changes, { type: "history" }];
  },

  ack(state, event) {
    const changes = [];
    const message = event.client_id && state.messages.get(event.client_id);
    if (event.client_id && message && !message.id) {
      message.unsent = false;
      changes.push(changed(event.client_id));
    }
    if (event.run && !state.runs.has(event.run)) changes.push(...expectQueued(state, event.run));
    return changes;
  },

  /** The refusal of a command that the reducer asked for; commands.js handles those of the user. */
  error(state, { ref, code }) {
    if (ref === "fill") state.fillingGap = false;
    const id = ref?.startsWith("sync:") && code === "not_found" ? ref.slice(5) : null;
    const run = id && state.runs.get(id);
    if (!run) return [];
    run.status = "interrupted";
    if (!run.key || state.messages.get(run.key)?.id !== null) return [{ type: "conversation" }];
    state.messages.delete(run.key);
    return [changed(run.key)];
  },

  /** The user's message before the server has it. */
  "local.message"(state, { client_id, text, reply_to = null, attachments = [], created_at }) {
    state.unanswered = null;
    state.unread = null;
    if (state.messages.has(client_id)) return [];
    state.messages.set(client_id, {
      ...BLANK,
      unsent: true,
      role: "user",
      author: state.you,
      text,
      client_id,
      reply_to,
      attachments,
      created_at,
    });
    return [changed(client_id)];
  },

  "local.refused"(state, { client_id }) {
    if (state.messages.get(client_id)?.id !== null) return [];
    state.messages.delete(client_id);
    return [changed(client_id)];
  },

  /** The user's decision about a call is being sent, or was refused with a sentence. */
  "local.decision"(state, { call, refusal }) {
    state.decisions.set(call, refusal);
    for (const [key, { calls }] of state.messages) if (calls.some(({ id }) => id === call)) return [changed(key)];
    return [];
  },
};

/** @type {Omit<Message, "role">} */
const BLANK = {
  id: null,
  seq: Infinity,
  author: null,
  text: "",
  thinking: "",
  client_id: null,
  replaces: null,
  reply_to: null,
  created_at: null,
  edited_at: null,
  deleted_at: null,
  calls: [],
  parts: [],
  attachments: [],
  alternatives: [],
  run: null,
};

/**
 * A participant joined or has a new role; it may be the user.
 * @param {State} state  @param {{participant: import("./types.d.ts").Participant}} event  @returns {Change[]}
 */
function putParticipant(state, { participant }) {
  state.participants.set(participant.id, participant);
  if (!state.you || participant.user.id !== state.you.id) return [{ type: "people" }];
  state.you = { ...state.you, role: participant.role };
  return [{ type: "people" }, ...[...state.messages.keys()].map(changed)]; // each message may offer other actions
}

/**
 * Applies a frame of a run if it is the next one. A repeated frame is ignored; after a lost one, `run.sync` is sent.
 * @param {State} state  @param {{run: string, seq: number}} event
 * @param {(message: Message, key: string) => Change[]} update  @returns {Change[]}
 */
function inOrder(state, { run: id, seq }, update) {
  const run = runState(state, id);
  if (!isActive(run) || run.outOfSync || seq <= run.seq) return [];
  const message = state.messages.get(run.key ?? "");
  if (seq > run.seq + 1 || !run.key || !message?.id) {
    run.outOfSync = true;
    return [sync(id)];
  }
  run.seq = seq;
  run.retryAt = null;
  return update(message, run.key);
}

/**
 * Stores a message from the server, unless the state holds a newer version of it.
 * @param {State} state  @param {Message} message  @param {number} seq of the text that it carries  @returns {Change[]}
 */
function store(state, message, seq = message.run?.seq ?? 0) {
  state.lastSeq = Math.max(state.lastSeq, message.seq);
  const key = keyOf(state, message);
  if (message.run) {
    const run = runState(state, message.run.id);
    const over = !isActive(message.run);
    const older = !over && (!isActive(run) || (run.key && state.messages.get(run.key)?.id && seq < run.seq));
    if (older) return [];
    Object.assign(run, { status: message.run.status, seq, key });
  }
  state.messages.set(key, { ...BLANK, ...message });
  const changes = isShown(state, message.id) ? [changed(key)] : [];
  if (message.replaces) changes.push(...hide(state, message.replaces));
  return changes;
}

/** @param {State} state  @param {Message} message  @param {number} [seq]  @returns {Change[]} */
function storeAnswer(state, message, seq) {
  const known = state.messages.get(keyOf(state, message))?.id === message.id;
  const changes = [...fillGap(state, message.seq), ...store(state, message, seq)];
  return known ? changes : [...changes, ...showAlternative(state, message)];
}

/**
 * Shows this message in place of its alternatives, or hides it if the server says so.
 * @param {State} state  @param {Message} message  @returns {Change[]}
 */
function showAlternative(state, { id, alternatives = [], shown = true }) {
  if (!id) return [];
  if (!shown) return hide(state, id);
  const changes = alternatives.filter((each) => each !== id).flatMap((each) => hide(state, each));
  return state.hidden.delete(id) ? [...changes, ...changedById(state, id)] : changes;
}

/**
 * Hides messages that a snapshot leaves out although they lie in its range: another alternative was chosen, or their
 * question was edited.
 * @param {State} state  @param {{messages: Message[], more: boolean}} snapshot  @returns {Change[]}
 */
function hideMissing(state, { messages, more }) {
  const ids = new Set(messages.map(({ id }) => id));
  const [first, last] = [more ? messages[0].seq : 1, messages.at(-1)?.seq ?? 0];
  const missing = [...state.messages.values()].filter(
    ({ id, seq }) => id && !ids.has(id) && seq >= first && seq <= last,
  );
  return missing.flatMap(({ id }) => hide(state, /** @type {string} */ (id)));
}

/** A hidden answer stays in the state: its tokens count. @param {State} state  @param {string} id  @returns {Change[]} */
function hide(state, id) {
  state.hidden.add(id);
  return changedById(state, id);
}

/** Puts an empty message in place of the answer that a run has not begun. @param {State} state  @param {Run} run */
function expectRun(state, run) {
  const known = runState(state, run.id);
  if (!isActive(known)) return [];
  known.status = run.status;
  state.unanswered = null;
  if (run.message || known.key) return [];
  known.key = run.id;
  state.messages.set(run.id, { ...BLANK, role: "assistant", created_at: run.created_at ?? null, run });
  return [changed(run.id)];
}

/** @param {State} state  @param {string} id of a run that was requested, and of which nothing else is known */
function expectQueued(state, id) {
  return expectRun(state, { id, status: "queued", seq: 0, message: null, agent: state.conversation?.agent ?? null });
}

/** The state of a run; an unknown run counts as running. @param {State} state  @param {string} id  @returns {RunState} */
function runState(state, id) {
  let run = state.runs.get(id);
  if (!run) {
    run = { status: "running", seq: 0, key: null, outOfSync: false, retryAt: null, fellBack: false };
    state.runs.set(id, run);
  }
  return run;
}

/**
 * Requests missing messages: their seqs are 1, 2, 3 ..., so a skipped number reveals a lost frame.
 * @param {State} state  @param {number} seq  @returns {Change[]}
 */
function fillGap(state, seq) {
  const missing = seq - state.lastSeq - 1;
  if (missing < 1 || state.fillingGap) return [];
  state.fillingGap = true;
  return [send({ type: "history.load", before: seq, limit: Math.min(missing, 100), ref: "fill" })];
}

/** Drops the stored messages, because a snapshot does not connect to them; unsent ones stay. @param {State} state */
function dropStored(state) {
  const stored = [...state.messages].filter(([, message]) => message.id).map(([key]) => key);
  for (const key of stored) state.messages.delete(key);
  return stored.map(changed);
}

/** @param {State} state  @param {(message: Message) => boolean} fits  @returns {Message|null} */
function newest({ messages, hidden }, fits) {
  /** @type {Message|null} */
  let found = null;
  for (const message of messages.values()) {
    if (message.id && !hidden.has(message.id) && fits(message) && (!found || message.seq > found.seq)) found = message;
  }
  return found;
}

/** @param {State} state  @param {string} id */
function changedById(state, id) {
  const message = messageById(state, id);
  return message ? [changed(keyOf(state, message))] : [];
}

/** @param {string} run */
const sync = (run) => send({ type: "run.sync", run, ref: `sync:${run}` });
/** @param {string} key  @returns {Change} */
const changed = (key) => ({ type: "message", key });
/** @param {import("./types.d.ts").Command} command  @returns {Change} */
const send = (command) => ({ type: "send", command });
