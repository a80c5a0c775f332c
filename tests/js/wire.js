// Objects and events of docs/protocol.md, for the tests.

export const ada = { id: "1", name: "Ada", role: "owner", staff: false };
export const bob = { id: "2", name: "Bob" };
const agent = { slug: "assistant", name: "Assistant" };

export function run(id, fields = {}) {
  return {
    id,
    conversation: "c",
    status: "running",
    seq: 0,
    message: `m-${id}`,
    agent,
    model: "demo:tour",
    launched_by: null,
    usage: null,
    tokens: null,
    cost: null,
    finish_reason: null,
    cut_off: false,
    error: null,
    stopped_by: null,
    created_at: "2026-11-23T09:30:00Z",
    started_at: null,
    finished_at: null,
    place: null,
    ...fields,
  };
}

export function participant(id, user, role = "member") {
  return { id, user, role, joined_at: "2026-11-23T09:30:00Z" };
}

export function message(seq, fields = {}) {
  return {
    id: `m-${seq}`,
    conversation: "c",
    seq,
    role: "user",
    text: `text ${seq}`,
    thinking: "",
    author: bob,
    client_id: null,
    replaces: null,
    reply_to: null,
    created_at: "2026-11-23T09:30:00Z",
    edited_at: null,
    deleted_at: null,
    deleted_by: null,
    calls: [],
    parts: [],
    attachments: [],
    alternatives: [],
    continues: false,
    shown: true,
    run: null,
    ...fields,
  };
}

/** The answer of a run, as the server stores it. */
export function answer(seq, runId, fields = {}, runFields = {}) {
  const id = fields.id ?? `m-${runId}`;
  return message(seq, {
    role: "assistant",
    author: null,
    text: "",
    ...fields,
    id,
    run: run(runId, { message: id, ...runFields }),
  });
}

export function call(id, status = "running", fields = {}) {
  return {
    id,
    name: "send_email",
    arguments: { to: "bob@example.org" },
    status,
    result: null,
    decided_by: null,
    expires_at: null,
    ...fields,
  };
}

export function conversation(fields = {}) {
  return {
    id: "c",
    title: "",
    agent: { ...agent, model: "demo:tour", starters: [] },
    agents: [],
    answers: "always",
    yours: null,
    mode: "interrupt",
    last_seq: 0,
    running: false,
    url: "/chat/c/",
    websocket: "/ws/chat/c/",
    created_at: "2026-11-23T09:30:00Z",
    updated_at: "2026-11-23T09:30:00Z",
    ...fields,
  };
}

export function snapshot(messages = [], fields = {}) {
  return {
    type: "snapshot",
    you: ada,
    conversation: conversation(),
    participants: [],
    messages,
    more: false,
    runs: [],
    documents: [],
    ...fields,
  };
}

export const started = (message) => ({ type: "run.started", run: message.run.id, message });
export const delta = (run, seq, text) => ({ type: "run.delta", run, seq, text });
export const tool = (run, seq, call) => ({ type: "run.tool", run, seq, call });
export const state = (message, seq) => ({ type: "run.state", run: message.run.id, seq, message, ref: null });
export function finished(message, status = "completed", fields = {}) {
  const ended = { ...message, run: { ...message.run, status, ...fields } };
  return {
    type: "run.finished",
    run: message.run.id,
    message: ended,
    status,
    usage: ended.run.usage,
    cost: null,
    error: ended.run.error,
    stopped_by: ended.run.stopped_by,
    ref: null,
  };
}
