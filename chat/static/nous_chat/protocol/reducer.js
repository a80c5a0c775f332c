// The rules of docs/protocol.md: an event of a conversation comes in, the state is brought up to date, and what the
// views and the socket have to do goes out. No page, no clock, no network; conversation.js performs the changes.

/**
 * @typedef {object} State
 * @property {object|null} you              Person with a role; null until the first snapshot
 * @property {object|null} conversation
 * @property {Map<string, object>} messages by key, see keyOf; a bubble that is not sent yet has `id: null`
 * @property {Set<string>} hidden           ids of answers in whose place another one is shown
 * @property {Map<string, RunState>} runs
 * @property {Map<string, object>} participants by their id
 * @property {Map<string, {people: object[], at: number}>} presence  who reads here, by the process that says so
 * @property {Map<string, string>} typing   names of the others who are typing, by their id
 * @property {Map<string, string>} outages  what the server is without, as a sentence, by `database` or `layer`
 * @property {object|null} yours            `{role, unread, last_read, pinned, archived}`
 * @property {number|null} unread           the last seq that was read when the reader came, if there was more
 * @property {boolean} more                 are there older messages than those loaded?
 * @property {number} last                  the highest message seq heard of
 * @property {boolean} filling              is a page on its way that fills a hole between messages?
 * @property {object|null} unanswered       `{status, error}` when what was said last got no answer
 * @property {Map<string, string|null>} decisions  by call, what this page has decided: null while it is on its way, then
 *                                          why it was refused
 *
 * @typedef {object} RunState
 * @property {string} status
 * @property {number} seq      the newest frame that is in the message's text
 * @property {string|null} key of its message
 * @property {boolean} behind  a frame was lost; waits for run.state
 *
 * @typedef {{type: "message", key: string}                              a message is new, changed as a whole, or gone
 *   | {type: "append", key: string, part: "text"|"thinking", text: string}
 *   | {type: "send", command: object}                                    the protocol asks for this command
 *   | {type: "conversation"}
 *   | {type: "people"}                                                   who is in the conversation, or reads it now
 *   | {type: "history"}} Change                                          older messages may be asked for again
 */

const WRITING = new Set(["queued", "running"]);
const WAITING = "awaiting_approval";
const PRESENCE_LASTS = 60_000; // ms

/** @returns {State} */
export function emptyState() {
  return {
    you: null,
    conversation: null,
    yours: null,
    messages: new Map(),
    hidden: new Set(),
    runs: new Map(),
    participants: new Map(),
    presence: new Map(),
    typing: new Map(),
    outages: new Map(),
    more: false,
    last: 0,
    filling: false,
    unread: null,
    unanswered: null,
    decisions: new Map(),
  };
}

export const isWriting = (run) => WRITING.has(run.status);
export const isActive = (run) => isWriting(run) || run.status === WAITING;

/** Does a call of that run wait for a decision? */
export const isWaiting = (call, run) => call.status === WAITING && isActive(run);

/** The runs that are not over, as `[id, RunState]`, oldest first. @param {State} state */
export function activeRuns(state) {
  return [...state.runs].filter(([, run]) => isActive(run));
}

/** The calls that wait for a decision. @param {State} state */
export function waitingCalls(state) {
  return activeRuns(state).flatMap(([, run]) =>
    (state.messages.get(run.key)?.calls ?? []).filter((call) => isWaiting(call, run)),
  );
}

/** The newest thing that is shown, that somebody has said, and that the server has. @param {State} state */
export function lastMessage(state) {
  return newest(state, ({ role, deleted_at }) => role !== "system" && !deleted_at);
}

/** My newest message that I could edit. @param {State} state */
export function lastOwn(state) {
  return newest(state, ({ author, deleted_at }) => author && author.id === state.you?.id && !deleted_at);
}

/** Is a message of that id shown, if it is loaded? */
export const isShown = (state, id) => !state.hidden.has(id);

/** @param {string|null} id of a message  @returns {object|null} */
export function messageOf(state, id) {
  if (id) for (const message of state.messages.values()) if (message.id === id) return message;
  return null;
}

/** Who reads here now, each once. @param {State} state @returns {object[]} Persons */
export function present({ presence }) {
  const people = new Map();
  for (const host of presence.values()) for (const person of host.people) people.set(person.id, person);
  return [...people.values()];
}

/** Tokens of all answers that are loaded. @param {State} state */
export function totalTokens(state) {
  let total = 0;
  for (const message of state.messages.values()) total += message.run?.usage?.total_tokens ?? 0;
  return total;
}

/** What they cost, as far as it is known. @param {State} state */
export function totalCost(state) {
  let total = 0;
  for (const message of state.messages.values()) total += Number(message.run?.cost ?? 0);
  return total;
}

/**
 * One key from the first sight of a message to its last: my own by its client_id, so that the stored message takes the
 * place of the bubble; an answer by its run, so that it takes the place of the dots.
 */
export function keyOf(state, message) {
  if (message.client_id && message.author?.id === state.you?.id) return message.client_id;
  return message.run?.id ?? message.id;
}

/**
 * Folds one event into the state, the only function that changes it.
 * @param {State} state
 * @param {{type: string}} event an event of the protocol, or one of this page: `bubble`, `bubble.gone`, `typing.faded`,
 *   `presence.faded`, `decision`
 * @returns {Change[]}
 */
export function apply(state, event) {
  return rules[event.type]?.(state, event) ?? [];
}

const rules = {
  snapshot(state, event) {
    const changes = [{ type: "conversation" }, { type: "history" }];
    const fresh = state.you === null;
    if (state.you?.id !== event.you.id) state.decisions.clear();
    state.you = event.you;
    state.participants = new Map(event.participants.map((participant) => [participant.id, participant]));
    state.presence.clear();
    state.outages.clear();
    const known = new Set([...state.messages.values()].map((message) => message.id));
    const joins = !event.more || event.messages.some((message) => known.has(message.id));
    if (!fresh && !joins) changes.push(...forget(state));
    state.more = fresh || !joins ? event.more : state.more && event.more;
    state.conversation = event.conversation;
    state.yours = event.conversation.yours ?? null;
    if (fresh) state.unread = state.yours?.unread ? state.yours.last_read : null;
    state.typing.clear();
    state.filling = false;
    if (fresh || !joins) state.last = event.messages.at(-1)?.seq ?? 0;

    for (const message of event.messages) changes.push(...store(state, message), ...prefer(state, message));
    if (!fresh && joins) changes.push(...leftOut(state, event));
    for (const run of event.runs) changes.push(...expect(state, run));
    const alive = new Set(event.runs.map((run) => run.id));
    for (const [id, run] of state.runs) {
      run.behind = false;
      if (isActive(run) && !alive.has(id)) changes.push(sync(id));
    }
    const asked = (state.conversation.answers ?? "always") === "always" && lastMessage(state)?.role === "user";
    state.unanswered = asked && activeRuns(state).length === 0 ? { status: null } : null;
    return [...changes, { type: "people" }];
  },

  "message.created"(state, { message }) {
    state.unanswered = null;
    state.typing.delete(message.author?.id);
    return [...hole(state, message.seq), ...store(state, message)];
  },

  /** Edited, or chosen among its alternatives. */
  "message.updated"(state, { message }) {
    return [...store(state, message), ...prefer(state, message)];
  },

  "message.deleted"(state, { message }) {
    if (lastMessage(state)?.id === message.id) state.unanswered = null;
    return store(state, message);
  },

  /** It waits for a free place. */
  "run.queued"(state, { run: id, place }) {
    if (!state.runs.has(id)) queued(state, id);
    const { key, status } = state.runs.get(id);
    const message = state.messages.get(key);
    if (!message || status !== "queued") return [];
    message.run = { ...message.run, place };
    return [changed(key)];
  },

  "run.started"(state, { message }) {
    state.unanswered = null;
    return [...hole(state, message.seq), ...store(state, message), ...prefer(state, message)];
  },

  "run.delta"(state, event) {
    return inTurn(state, event, (message, key) => {
      const changes = [];
      for (const part of ["thinking", "text"]) {
        if (!event[part]) continue;
        message[part] += event[part];
        changes.push({ type: "append", key, part, text: event[part] });
      }
      return changes;
    });
  },

  "run.tool"(state, event) {
    return inTurn(state, event, (message, key) => {
      const known = message.calls.some(({ id }) => id === event.call.id);
      message.calls = known
        ? message.calls.map((call) => (call.id === event.call.id ? event.call : call))
        : [...message.calls, event.call];
      return [changed(key)];
    });
  },

  "run.state"(state, event) {
    const run = runState(state, event.run);
    run.behind = false;
    return event.message ? meet(state, event.message, event.seq) : [];
  },

  "run.finished"(state, event) {
    const run = runState(state, event.run);
    run.status = event.status;
    if (event.message) return meet(state, event.message);
    const { status, error } = event;
    state.unanswered = activeRuns(state).length ? null : { status, error };
    return run.key && state.messages.delete(run.key) ? [changed(run.key)] : [{ type: "conversation" }];
  },

  typing(state, { user, on }) {
    if (!on) state.typing.delete(user.id);
    else if (user.id !== state.you.id) state.typing.set(user.id, user.name);
    return [];
  },

  "participant.joined": join,
  "participant.updated": join,

  "participant.left"(state, { participant }) {
    state.participants.delete(participant.id);
    state.typing.delete(participant.user.id);
    return [{ type: "people" }];
  },

  /** `at` is when it came, in ms; conversation.js adds it. */
  presence(state, { host, people, at }) {
    if (people.length) state.presence.set(host, { people, at });
    else state.presence.delete(host);
    return [{ type: "people" }];
  },

  "presence.faded"(state, { now }) {
    const silent = [...state.presence].filter(([, { at }]) => now - at > PRESENCE_LASTS).map(([host]) => host);
    for (const host of silent) state.presence.delete(host);
    return silent.length ? [{ type: "people" }] : [];
  },

  /** The server is without its database or its channel layer, or has it back. */
  notice(state, { code, message }) {
    const [what, how] = code.split("_");
    if (how === "back") state.outages.delete(what);
    else state.outages.set(what, message);
    return [];
  },

  /** It has been on for so long that the frame that ends it must be lost. */
  "typing.faded"(state) {
    state.typing.clear();
    return [];
  },

  "conversation.updated"(state, { conversation }) {
    state.conversation = conversation;
    state.yours = conversation.yours ?? state.yours; // null where the same frame goes to all
    // While a run is active its start, which counts as a message, may still be on its way.
    return [{ type: "conversation" }, ...(conversation.running ? [] : hole(state, conversation.last_seq + 1))];
  },

  /** What was lost where nothing came after it. */
  "conversation.state"(state, { last_seq, run }) {
    const missed = activeRuns(state)
      .map(([id]) => id)
      .filter((id) => id !== run);
    if (run && !state.runs.has(run)) missed.push(run);
    return [...hole(state, last_seq + 1), ...missed.map(sync)];
  },

  "history.page"(state, event) {
    const changes = event.messages.flatMap((message) => [...store(state, message), ...prefer(state, message)]);
    if (event.ref === "fill") state.filling = false;
    else state.more = event.more;
    return [...changes, { type: "history" }];
  },

  ack(state, event) {
    const changes = [];
    const bubble = event.client_id && state.messages.get(event.client_id);
    if (bubble && !bubble.id) {
      bubble.unsent = false;
      changes.push(changed(event.client_id));
    }
    if (event.run && !state.runs.has(event.run)) changes.push(...queued(state, event.run));
    return changes;
  },

  /** The server's answer to a command that apply asked for; what the person asked for is conversation.js's matter. */
  error(state, { ref, code }) {
    if (ref === "fill") state.filling = false;
    const id = ref?.startsWith("sync:") && code === "not_found" ? ref.slice(5) : null;
    if (!id || !state.runs.has(id)) return [];
    const run = state.runs.get(id);
    run.status = "interrupted";
    if (state.messages.get(run.key)?.id !== null) return [{ type: "conversation" }];
    state.messages.delete(run.key);
    return [changed(run.key)];
  },

  /** A message of mine before the server has it: `{client_id, text, reply_to, attachments, created_at}`. */
  bubble(state, { client_id, text, reply_to = null, attachments = [], created_at }) {
    state.unanswered = null;
    state.unread = null;
    if (state.messages.has(client_id)) return [];
    state.messages.set(client_id, {
      ...BARE,
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

  /** It was refused. */
  "bubble.gone"(state, { client_id }) {
    if (state.messages.get(client_id)?.id !== null) return [];
    state.messages.delete(client_id);
    return [changed(client_id)];
  },

  /** My decision about a call is on its way, or was refused with a sentence. */
  decision(state, { call, refusal }) {
    state.decisions.set(call, refusal);
    for (const [key, { calls }] of state.messages) if (calls.some(({ id }) => id === call)) return [changed(key)];
    return [];
  },
};

/** A message of which nothing is known yet. */
const BARE = {
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
  attachments: [],
  alternatives: [],
  run: null,
};

/** A participant is new, or has another role; it may be me. */
function join(state, { participant }) {
  state.participants.set(participant.id, participant);
  if (participant.user.id !== state.you?.id) return [{ type: "people" }];
  state.you = { ...state.you, role: participant.role };
  return [{ type: "people" }, ...[...state.messages.keys()].map(changed)]; // what each of them offers
}

/** Takes a frame of a run if it is the next one. A repeat is ignored; after a lost one the state is asked for. */
function inTurn(state, { run: id, seq }, take) {
  const run = runState(state, id);
  if (!isActive(run) || run.behind || seq <= run.seq) return [];
  const message = state.messages.get(run.key);
  if (seq > run.seq + 1 || !message?.id) {
    run.behind = true;
    return [sync(id)];
  }
  run.seq = seq;
  return take(message, run.key);
}

/** Takes a message as the server has it, unless what stands here is newer. `seq` is that of the text it carries. */
function store(state, message, seq = message.run?.seq ?? 0) {
  state.last = Math.max(state.last, message.seq);
  const key = keyOf(state, message);
  if (message.run) {
    const run = runState(state, message.run.id);
    const over = !isActive(message.run);
    const older = !over && (!isActive(run) || (run.key && state.messages.get(run.key)?.id && seq < run.seq));
    if (older) return [];
    Object.assign(run, { status: message.run.status, seq, key });
  }
  state.messages.set(key, { ...BARE, ...message });
  const changes = isShown(state, message.id) ? [changed(key)] : [];
  if (message.replaces) changes.push(...hide(state, message.replaces));
  return changes;
}

/** Takes an answer that may be new here. */
function meet(state, message, seq) {
  const known = state.messages.get(keyOf(state, message))?.id === message.id;
  const changes = [...hole(state, message.seq), ...store(state, message, seq)];
  return known ? changes : [...changes, ...prefer(state, message)];
}

/** Of several alternatives, this one is shown; unless it is not to be shown at all. */
function prefer(state, { id, alternatives = [], shown = true }) {
  if (!shown) return hide(state, id);
  const changes = alternatives.filter((each) => each !== id).flatMap((each) => hide(state, each));
  return state.hidden.delete(id) ? [...changes, ...changedOf(state, id)] : changes;
}

/** What a snapshot should hold and does not is not shown any more: another answer is, or its question was changed. */
function leftOut(state, { messages, more }) {
  const there = new Set(messages.map(({ id }) => id));
  const [first, last] = [more ? messages[0].seq : 1, messages.at(-1)?.seq ?? 0];
  const gone = [...state.messages.values()].filter(
    ({ id, seq }) => id && !there.has(id) && seq >= first && seq <= last,
  );
  return gone.flatMap(({ id }) => hide(state, id));
}

/** The answer in whose place another one is shown stays in the state: its tokens were spent. */
function hide(state, id) {
  state.hidden.add(id);
  return changedOf(state, id);
}

/** An active run: if it has no message yet, an empty one stands in, so that waiting is seen. */
function expect(state, run) {
  const known = runState(state, run.id);
  if (!isActive(known)) return [];
  known.status = run.status;
  state.unanswered = null;
  if (run.message || known.key) return [];
  known.key = run.id;
  state.messages.set(run.id, { ...BARE, role: "assistant", created_at: run.created_at ?? null, run });
  return [changed(run.id)];
}

/** A run of which no more is known than that it is asked for. */
function queued(state, id) {
  return expect(state, { id, status: "queued", seq: 0, message: null, agent: state.conversation?.agent ?? null });
}

/** What is known of a run; a run that is heard of for the first time counts as running. */
function runState(state, id) {
  if (!state.runs.has(id)) state.runs.set(id, { status: "running", seq: 0, key: null, behind: false });
  return state.runs.get(id);
}

/** Messages count 1, 2, 3 ...: if the one with `seq` comes before its predecessor, a frame was lost. */
function hole(state, seq) {
  const missing = seq - state.last - 1;
  if (missing < 1 || state.filling) return [];
  state.filling = true;
  return [send({ type: "history.load", before: seq, limit: Math.min(missing, 100), ref: "fill" })];
}

/** Too much was missed to join on to what is loaded: the stored messages go, the unsent bubbles stay. */
function forget(state) {
  const stored = [...state.messages].filter(([, message]) => message.id).map(([key]) => key);
  for (const key of stored) state.messages.delete(key);
  return stored.map(changed);
}

function newest({ messages, hidden }, fits) {
  let found = null;
  for (const message of messages.values()) {
    if (message.id && !hidden.has(message.id) && fits(message) && (!found || message.seq > found.seq)) found = message;
  }
  return found;
}

function changedOf(state, id) {
  const message = messageOf(state, id);
  return message ? [changed(keyOf(state, message))] : [];
}

const sync = (run) => send({ type: "run.sync", run, ref: `sync:${run}` });
const changed = (key) => ({ type: "message", key });
const send = (command) => ({ type: "send", command });
