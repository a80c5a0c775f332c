import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { Commands, limits } from "../../../chat/static/nous_chat/protocol/commands.js";
import { apply, emptyState } from "../../../chat/static/nous_chat/protocol/reducer.js";
import { message, run, snapshot } from "../wire.js";

/** A user's commands on a connection that can be cut; `sent` is what was sent. */
function page({ live = true, storage = null } = {}) {
  globalThis.sessionStorage = storage;
  const state = emptyState();
  const seen = { sent: [], said: [], returned: [], live };
  const commands = new Commands("c", state, {
    send: (command) => seen.live && seen.sent.push(command) > 0,
    apply: (event) => apply(state, event),
    returned: (given) => seen.returned.push(given),
    refused: () => false,
    say: (sentence) => seen.said.push(sentence),
  });
  const connect = (...messages) => {
    seen.live = true;
    apply(state, snapshot(messages));
    commands.restoreOutbox("1");
    commands.flush();
  };
  if (live) connect(message(1));
  const last = () => seen.sent.at(-1);
  const refuse = (code, fields = {}) =>
    commands.handleReply({ type: "error", ref: last().ref, code, message: "No.", retry_after: null, ...fields });
  return { state, commands, seen, connect, last, refuse };
}
const file = { id: "f", name: "notes.txt", size: 3, image: false };

test("a message that was written offline is sent once after reconnecting", () => {
  const { commands, seen, connect } = page({ live: false });
  commands.sendMessage({ text: "hi" });
  connect();
  assert.deepEqual(
    seen.sent.map(({ type, text }) => [type, text]),
    [["message.send", "hi"]],
  );
  commands.handleReply({ type: "ack", ref: seen.sent[0].ref, client_id: seen.sent[0].client_id });
  connect();
  assert.equal(seen.sent.length, 1);
});

test("messages are sent in the order of writing, even if some are sent again", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { commands, seen, refuse, connect } = page();
  const said = () => seen.sent.filter(({ type }) => type === "message.send").map(({ text }) => text);
  const ack = () =>
    commands.handleReply({ type: "ack", ref: seen.sent.at(-1).ref, client_id: seen.sent.at(-1).client_id });
  for (const text of ["one", "two", "three"]) commands.sendMessage({ text });
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

test("a message is sent with its files, its reply and its mode", () => {
  const { commands, state, last } = page();
  commands.sendMessage({ text: "", reply_to: "m-1", attachments: [file], mode: "queue" });
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

test("an unsent message keeps its files after a reload", () => {
  const items = new Map();
  const storage = {
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, value) => items.set(key, value),
    removeItem: (key) => items.delete(key),
  };
  const before = page({ live: false, storage });
  before.commands.restoreOutbox("1");
  before.commands.sendMessage({ text: "hi", attachments: [file] });
  const { seen, connect, refuse, last } = page({ live: false, storage });
  connect();
  assert.deepEqual(last().attachments, ["f"]);
  refuse("not_found");
  assert.deepEqual(seen.returned, [{ text: "hi", reply_to: null, attachments: [file] }]);
});

test("a refused message returns to the composer with everything in it", () => {
  const { commands, state, seen, refuse, last } = page();
  commands.sendMessage({ text: "hi", reply_to: "m-1", attachments: [file] });
  const { client_id } = last();
  refuse("rate_limited", { retry_after: 3.2 });
  assert.deepEqual(seen.returned, [{ text: "hi", reply_to: "m-1", attachments: [file] }]);
  assert.deepEqual(seen.said, ["No. Try again in 4 seconds."]);
  assert.equal(state.messages.has(client_id), false);
});

test("a message that the server cannot store now is sent again later", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const { commands, seen, refuse, last } = page();
  commands.sendMessage({ text: "hi" });
  refuse("unavailable", { retry_after: 2 });
  mock.timers.tick(1999);
  assert.equal(seen.sent.length, 1);
  mock.timers.tick(1);
  assert.equal(seen.sent.length, 2);
  commands.handleReply({ type: "ack", ref: last().ref, client_id: last().client_id });
  assert.deepEqual([seen.said, seen.returned], [[], []]);
  mock.timers.reset();
});

test("stopping a run that is over is not an error", () => {
  const { commands, state, seen, refuse } = page();
  assert.equal(commands.stopRun(), false);
  apply(state, { type: "ack", ref: "ask", run: run("r").id });
  assert.equal(commands.stopRun(), true);
  refuse("run_over");
  assert.deepEqual(seen.said, []);
});

test("only one answer is requested at a time", () => {
  const { commands, last, refuse } = page();
  commands.continue("m-2");
  assert.deepEqual(last(), { type: "run.start", message: "m-2", continue: true, ref: "ask" });
  assert.equal(commands.runRequested, true);
  refuse("conflict");
  assert.equal(commands.runRequested, false);
});

test("the read position is sent once and never goes back", () => {
  const { commands, seen } = page();
  for (const seq of [4, 4, 3, 5]) commands.markRead(seq);
  assert.deepEqual(
    seen.sent.map(({ seq }) => seq),
    [4, 5],
  );
  seen.live = false;
  commands.markRead(6);
  seen.live = true;
  commands.markRead(6);
  assert.equal(seen.sent.at(-1).seq, 6);
});

test("a text that is too long comes back at once, and nothing behind it waits", () => {
  Object.assign(limits, { message: 20, frame: 300 });
  const { commands, state, seen, connect } = page({ live: false });
  commands.sendMessage({ text: "x".repeat(21), attachments: [file] });
  assert.deepEqual(seen.returned, [{ text: "x".repeat(21), reply_to: null, attachments: [file] }], "before it is sent");
  assert.deepEqual(seen.said, ["A message can have up to 20 characters. This one has 21."]);
  assert.equal(state.messages.size, 0);
  commands.sendMessage({ text: "😀".repeat(20) });
  connect();
  assert.deepEqual(
    seen.sent.map(({ text }) => text),
    ["😀".repeat(20)],
    "characters count, not UTF-16 units",
  );
  commands.edit("m-1", "y".repeat(30), false);
  assert.equal(seen.said.at(-1), "A message can have up to 20 characters. This one has 30.");
  commands.decide("call", { decision: "approve", arguments: { text: "z".repeat(300) } });
  assert.equal(state.decisions.get("call"), "This could not be sent. Shorten it, or try again later.");
  assert.equal(seen.sent.length, 1);
  Object.assign(limits, { message: Infinity, frame: Infinity });
});

test("a text that is too long is not sent from the outbox of an earlier page", () => {
  const items = new Map();
  const storage = {
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, value) => items.set(key, value),
    removeItem: (key) => items.delete(key),
  };
  const before = page({ live: false, storage });
  before.commands.restoreOutbox("1");
  for (const text of ["x".repeat(30), "behind"]) before.commands.sendMessage({ text });
  Object.assign(limits, { message: 20 });
  const { seen, connect } = page({ live: false, storage });
  connect();
  assert.deepEqual(
    seen.sent.map(({ text }) => text),
    ["behind"],
  );
  assert.deepEqual(
    seen.returned.map(({ text }) => text),
    ["x".repeat(30)],
  );
  Object.assign(limits, { message: Infinity });
});

test("a message that ends each connection is given up, and the next one is sent", () => {
  const { commands, seen, connect } = page();
  for (const text of ["poison", "behind"]) commands.sendMessage({ text });
  for (let tries = 1; tries < 5; tries += 1) {
    commands.disconnected(1006);
    connect();
  }
  assert.deepEqual(seen.returned, []);
  commands.disconnected(1006);
  assert.deepEqual(
    seen.returned.map(({ text }) => text),
    ["poison"],
  );
  assert.deepEqual(seen.said, ["This could not be sent. Shorten it, or try again later."]);
  connect();
  assert.equal(seen.sent.at(-1).text, "behind");
  commands.disconnected(1009);
  assert.equal(seen.returned.at(-1).text, "behind", "the server said that it is too big");
});

test("a message that was stored before the connection ended is not given up", () => {
  const { commands, state, seen, last } = page();
  commands.sendMessage({ text: "hi" });
  const { client_id } = last();
  apply(state, {
    type: "message.created",
    message: message(2, { client_id, text: "hi", author: { id: "1", name: "a" } }),
  });
  for (let tries = 0; tries < 6; tries += 1) commands.disconnected(1006);
  commands.disconnected(1009);
  assert.deepEqual([seen.returned, seen.said], [[], []]);
});

test("a restart of the server does not count against a message", () => {
  const { commands, seen, connect } = page();
  commands.sendMessage({ text: "hi" });
  for (let restarts = 0; restarts < 20; restarts += 1) {
    commands.disconnected(4012);
    connect();
  }
  assert.deepEqual(seen.returned, []);
});

test("unsent messages are taken back in their order", () => {
  const { commands, seen } = page({ live: false });
  for (const text of ["one", "two"]) commands.sendMessage({ text });
  commands.withdraw();
  assert.deepEqual(
    seen.returned.map(({ text }) => text),
    ["two", "one"],
    "each goes before what is in the field",
  );
});
