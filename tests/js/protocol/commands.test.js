import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { Requests } from "../../../chat/static/nous_chat/protocol/commands.js";
import { apply, emptyState } from "../../../chat/static/nous_chat/protocol/reducer.js";
import { message, run, snapshot } from "../wire.js";

/** A person's requests on a line that can be cut; `sent` is what went over it. */
function page({ live = true, storage = null } = {}) {
  globalThis.sessionStorage = storage;
  const state = emptyState();
  const seen = { sent: [], said: [], returned: [], live };
  const requests = new Requests("c", state, {
    send: (command) => seen.live && seen.sent.push(command) > 0,
    apply: (event) => apply(state, event),
    returned: (given) => seen.returned.push(given),
    refused: () => false,
    say: (sentence) => seen.said.push(sentence),
  });
  const connect = (...messages) => {
    seen.live = true;
    apply(state, snapshot(messages));
    requests.takeUp("1");
    requests.arrived();
  };
  if (live) connect(message(1));
  const last = () => seen.sent.at(-1);
  const refuse = (code, fields = {}) =>
    requests.answered({ type: "error", ref: last().ref, code, message: "No.", retry_after: null, ...fields });
  return { state, requests, seen, connect, last, refuse };
}
const file = { id: "f", name: "notes.txt", size: 3, image: false };

test("what is written away from the server is sent once, when it is back", () => {
  const { requests, seen, connect } = page({ live: false });
  requests.say({ text: "hi" });
  connect();
  assert.deepEqual(
    seen.sent.map(({ type, text }) => [type, text]),
    [["message.send", "hi"]],
  );
  requests.answered({ type: "ack", ref: seen.sent[0].ref, client_id: seen.sent[0].client_id });
  connect();
  assert.equal(seen.sent.length, 1);
});

test("messages arrive in the order of writing, whatever has to be sent again", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { requests, seen, refuse, connect } = page();
  const said = () => seen.sent.filter(({ type }) => type === "message.send").map(({ text }) => text);
  const ack = () =>
    requests.answered({ type: "ack", ref: seen.sent.at(-1).ref, client_id: seen.sent.at(-1).client_id });
  for (const text of ["one", "two", "three"]) requests.say({ text });
  assert.deepEqual(said(), ["one"], "the others wait for its answer");
  refuse("unavailable", { retry_after: 2 });
  assert.deepEqual(said(), ["one"]);
  t.mock.timers.tick(2000);
  assert.deepEqual(said(), ["one", "one"]);
  ack();
  assert.deepEqual(said(), ["one", "one", "two"]);
  connect();
  assert.deepEqual(said(), ["one", "one", "two", "two"], "on a new connection the first that waits goes again");
  refuse("too_large");
  assert.deepEqual(said(), ["one", "one", "two", "two", "three"], "one that comes back holds up nothing");
  ack();
  assert.equal(said().length, 5);
});

test("a message goes with its files, what it answers, and how it treats an answer", () => {
  const { requests, state, last } = page();
  requests.say({ text: "", reply_to: "m-1", attachments: [file], mode: "queue" });
  const { client_id, ...command } = last();
  assert.deepEqual(command, {
    type: "message.send",
    text: "",
    ref: client_id,
    mode: "queue",
    reply_to: "m-1",
    attachments: ["f"],
  });
  assert.deepEqual(state.messages.get(client_id).attachments, [file]);
});

test("after a reload it is sent, and comes back, with its files all the same", () => {
  const items = new Map();
  const storage = {
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, value) => items.set(key, value),
    removeItem: (key) => items.delete(key),
  };
  const before = page({ live: false, storage });
  before.requests.takeUp("1");
  before.requests.say({ text: "hi", attachments: [file] });
  const { seen, connect, refuse, last } = page({ live: false, storage });
  connect();
  assert.deepEqual(last().attachments, ["f"]);
  refuse("not_found");
  assert.deepEqual(seen.returned, [{ text: "hi", reply_to: null, attachments: [file] }]);
});

test("a refused message comes back whole", () => {
  const { requests, state, seen, refuse, last } = page();
  requests.say({ text: "hi", reply_to: "m-1", attachments: [file] });
  const { client_id } = last();
  refuse("rate_limited", { retry_after: 3.2 });
  assert.deepEqual(seen.returned, [{ text: "hi", reply_to: "m-1", attachments: [file] }]);
  assert.deepEqual(seen.said, ["No. Try again in 4 seconds."]);
  assert.equal(state.messages.has(client_id), false);
});

test("what the server cannot store just now goes again by itself", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const { requests, seen, refuse, last } = page();
  requests.say({ text: "hi" });
  refuse("unavailable", { retry_after: 2 });
  mock.timers.tick(1999);
  assert.equal(seen.sent.length, 1);
  mock.timers.tick(1);
  assert.equal(seen.sent.length, 2);
  requests.answered({ type: "ack", ref: last().ref, client_id: last().client_id });
  assert.deepEqual([seen.said, seen.returned], [[], []]);
  mock.timers.reset();
});

test("a stop of what is over is granted", () => {
  const { requests, state, seen, refuse } = page();
  assert.equal(requests.stop(), false);
  apply(state, { type: "ack", ref: "ask", run: run("r").id });
  assert.equal(requests.stop(), true);
  refuse("run_over");
  assert.deepEqual(seen.said, []);
});

test("an answer is asked for once at a time", () => {
  const { requests, last, refuse } = page();
  requests.proceed("m-2");
  assert.deepEqual(last(), { type: "run.start", message: "m-2", continue: true, ref: "ask" });
  assert.equal(requests.asking, true);
  refuse("conflict");
  assert.equal(requests.asking, false);
});

test("what has been read is told once, and never backwards", () => {
  const { requests, seen } = page();
  for (const seq of [4, 4, 3, 5]) requests.read(seq);
  assert.deepEqual(
    seen.sent.map(({ seq }) => seq),
    [4, 5],
  );
  seen.live = false;
  requests.read(6);
  seen.live = true;
  requests.read(6);
  assert.equal(seen.sent.at(-1).seq, 6);
});
