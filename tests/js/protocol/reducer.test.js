import assert from "node:assert/strict";
import { test } from "node:test";

import {
  activeRuns,
  apply,
  callsAwaitingApproval,
  emptyState,
  isInProgress,
  isShown,
  lastMessage,
  lastOwnMessage,
  lastQuestion,
  presentPeople,
  totalTokens,
} from "../../../chat/static/nous_chat/protocol/reducer.js";
import {
  ada,
  answer,
  bob,
  call,
  conversation,
  delta,
  finished,
  message,
  participant,
  run,
  snapshot,
  started,
  state,
  tool,
} from "../wire.js";

function following(...events) {
  const page = emptyState();
  for (const event of [snapshot([message(1)]), ...events]) apply(page, event);
  return page;
}
const sent = (changes) => changes.filter((change) => change.type === "send").map((change) => change.command);
const shown = (changes) => changes.filter((change) => change.type === "message").map((change) => change.key);
const active = (page) => activeRuns(page).map(([id]) => id);
const text = (page, key = "r") => page.messages.get(key).text;
const calls = (page, key = "r") => page.messages.get(key).calls.map(({ id, status }) => `${id} ${status}`);

test("a delta is appended to the message", () => {
  const page = following(started(answer(2, "r")));
  const changes = apply(page, delta("r", 1, "Hel"));
  assert.deepEqual(changes, [{ type: "append", key: "r", part: "text", text: "Hel" }]);
  apply(page, delta("r", 2, "lo"));
  apply(page, { type: "run.delta", run: "r", seq: 3, thinking: "hm" });
  assert.equal(text(page), "Hello");
  assert.equal(page.messages.get("r").thinking, "hm");
  assert.deepEqual(active(page), ["r"]);
});

test("a repeated delta is ignored", () => {
  const page = following(started(answer(2, "r")), delta("r", 1, "a"), delta("r", 2, "b"));
  assert.deepEqual(apply(page, delta("r", 2, "b")), []);
  assert.deepEqual(apply(page, delta("r", 1, "a")), []);
  assert.equal(text(page), "ab");
});

test("a gap requests the state once and waits for it", () => {
  const page = following(started(answer(2, "r")), delta("r", 1, "a"));
  assert.deepEqual(sent(apply(page, delta("r", 3, "c"))), [{ type: "run.sync", run: "r", ref: "sync:r" }]);
  assert.deepEqual(apply(page, delta("r", 4, "d")), []);
  assert.equal(text(page), "a");
  apply(page, state(answer(2, "r", { text: "abcd" }), 4));
  apply(page, delta("r", 5, "e"));
  assert.equal(text(page), "abcde");
});

test("a state older than the shown text is ignored", () => {
  const page = following(started(answer(2, "r")), delta("r", 1, "a"), delta("r", 2, "b"));
  apply(page, state(answer(2, "r", { text: "a" }), 1));
  assert.equal(text(page), "ab");
  apply(page, delta("r", 3, "c"));
  assert.equal(text(page), "abc");
});

test("tool calls are applied in order with the text", () => {
  const page = following(started(answer(2, "r")), delta("r", 1, "a"));
  assert.deepEqual(apply(page, tool("r", 2, call("x"))), [{ type: "message", key: "r" }]);
  apply(page, tool("r", 3, call("y")));
  apply(page, delta("r", 4, "b"));
  apply(page, tool("r", 5, call("x", "done", { result: "sent" })));
  assert.deepEqual(calls(page), ["x done", "y running"]);
  assert.equal(page.messages.get("r").calls[0].result, "sent");
  assert.deepEqual(apply(page, tool("r", 3, call("y", "failed"))), [], "a repeat");
  assert.deepEqual(sent(apply(page, tool("r", 7, call("z")))), [{ type: "run.sync", run: "r", ref: "sync:r" }]);
  assert.deepEqual(apply(page, tool("r", 8, call("y", "done"))), [], "waits for the state");
  apply(page, state(answer(2, "r", { text: "ab", calls: [call("x", "done"), call("y", "done"), call("z")] }), 8));
  assert.deepEqual(calls(page), ["x done", "y done", "z running"]);
  assert.equal(text(page), "ab");
});

test("a tool call never changes an earlier event", () => {
  const first = started(answer(2, "r", { calls: [call("x")] }));
  apply(following(first), tool("r", 1, call("x", "done")));
  assert.equal(first.message.calls[0].status, "running");
});

test("a run that awaits approval is active but not in progress", () => {
  const page = following(started(answer(2, "r")), tool("r", 1, call("x", "awaiting_approval")));
  assert.deepEqual(
    callsAwaitingApproval(page).map(({ id }) => id),
    ["x"],
    "before its state is told",
  );
  const waits = answer(2, "r", { calls: [call("x", "awaiting_approval")] }, { status: "awaiting_approval" });
  apply(page, state(waits, 1));
  assert.deepEqual(active(page), ["r"]);
  assert.equal(isInProgress(page.messages.get("r").run), false);
  apply(page, tool("r", 2, call("x", "running", { decided_by: bob })));
  apply(page, state(answer(2, "r", { calls: [call("x", "running", { decided_by: bob })] }), 2));
  assert.equal(isInProgress(page.messages.get("r").run), true);
  assert.deepEqual(callsAwaitingApproval(page), []);
  apply(page, tool("r", 3, call("x", "awaiting_approval")));
  apply(page, finished(waits, "stopped"));
  assert.deepEqual(callsAwaitingApproval(page), [], "nothing waits once the run is over");
});

test("a decision is pending until it is refused", () => {
  const page = following(started(answer(2, "r", { calls: [call("x", "awaiting_approval")] })));
  assert.deepEqual(apply(page, { type: "local.decision", call: "x", refusal: null }), [{ type: "message", key: "r" }]);
  assert.equal(page.decisions.get("x"), null);
  apply(page, { type: "local.decision", call: "x", refusal: "Not you." });
  assert.equal(page.decisions.get("x"), "Not you.");
  apply(page, snapshot([message(1)], { you: { ...bob, role: "member" } }));
  assert.equal(page.decisions.size, 0, "somebody else sits here now");
});

test("a message without calls is accepted", () => {
  const { calls: _, ...old } = answer(2, "r");
  const page = following(started(old));
  assert.deepEqual(calls(page), []);
  apply(page, tool("r", 1, call("x")));
  assert.deepEqual(calls(page), ["x running"]);
});

test("a delta of an unknown run requests the state", () => {
  const page = following();
  assert.deepEqual(
    sent(apply(page, delta("r", 1, "a"))).map((command) => command.type),
    ["run.sync"],
  );
  apply(page, state(answer(2, "r", { text: "a" }), 1));
  assert.equal(text(page), "a");
});

test("the end of a run replaces its message, and later frames are ignored", () => {
  const page = following(started(answer(2, "r")), delta("r", 1, "a"));
  apply(page, finished(answer(2, "r", { text: "all of it" }), "completed", { usage: { total_tokens: 7 } }));
  for (const late of [delta("r", 2, "b"), state(answer(2, "r", { text: "x" }), 9), started(answer(2, "r"))])
    apply(page, late);
  assert.equal(text(page), "all of it");
  assert.equal(page.messages.get("r").run.status, "completed");
  assert.deepEqual(active(page), []);
  assert.equal(totalTokens(page), 7);
});

test("an answer that continues another counts its tokens once", () => {
  const used = (total_tokens) => ({ status: "completed", usage: { total_tokens } });
  const page = emptyState();
  apply(page, snapshot([message(1), answer(2, "a", {}, used(7))]));
  apply(page, finished(answer(3, "b", { replaces: "m-a", continues: true }, used(20))));
  assert.equal(totalTokens(page), 20);
});

test("the end of an unknown run adds its message", () => {
  const page = following();
  assert.deepEqual(shown(apply(page, finished(answer(2, "r", { text: "done" })))), ["r"]);
  assert.equal(text(page), "done");
});

test("a run that was stopped before it began leaves no message", () => {
  const page = following({ type: "ack", ref: "retry", message: null, client_id: null, run: "r" });
  assert.equal(page.messages.get("r").id, null, "the dots");
  const ended = { type: "run.finished", run: "r", message: null, status: "stopped", error: null, stopped_by: bob };
  assert.deepEqual(apply(page, ended), [{ type: "message", key: "r" }]);
  assert.equal(page.messages.size, 1);
  assert.equal(page.unanswered.status, "stopped");
});

test("the stored message replaces the unsent one", () => {
  const page = following({ type: "local.message", client_id: "u", text: "hi", created_at: "2026-11-23T09:31:00Z" });
  assert.equal(page.messages.get("u").unsent, true);
  apply(page, { type: "ack", ref: "u", message: "m-2", client_id: "u", run: null });
  assert.equal(page.messages.get("u").unsent, false);
  apply(page, { type: "message.created", message: message(2, { author: ada, client_id: "u", text: "hi" }) });
  assert.equal(page.messages.size, 2);
  assert.equal(page.messages.get("u").id, "m-2");
});

test("another user's client_id cannot replace the user's message", () => {
  const page = following({ type: "local.message", client_id: "u", text: "mine", created_at: "2026-11-23T09:31:00Z" });
  apply(page, { type: "message.created", message: message(2, { author: bob, client_id: "u", text: "his" }) });
  assert.equal(text(page, "u"), "mine");
  assert.equal(text(page, "m-2"), "his");
});

test("a refused message is removed", () => {
  const page = following({ type: "local.message", client_id: "u", text: "hi", created_at: "2026-11-23T09:31:00Z" });
  assert.deepEqual(apply(page, { type: "local.refused", client_id: "u" }), [{ type: "message", key: "u" }]);
  assert.equal(page.messages.has("u"), false);
});

test("a retried answer hides the old one, also after a snapshot", () => {
  const old = finished(answer(2, "r", { text: "old" }), "failed");
  const page = following(started(answer(2, "r")), old);
  const changes = apply(page, started(answer(3, "s", { replaces: "m-r" })));
  assert.deepEqual(changes, [
    { type: "message", key: "s" },
    { type: "message", key: "r" },
  ]);
  assert.equal(lastMessage(page).id, "m-s");
  apply(page, snapshot([message(1), old.message, answer(3, "s", { replaces: "m-r" })], { runs: [run("s")] }));
  assert.ok(!isShown(page, "m-r"));
  assert.equal(lastMessage(page).id, "m-s");
});

test("frames of two runs are counted separately", () => {
  const page = following(started(answer(2, "r")), delta("r", 1, "a"));
  apply(page, finished(answer(2, "r", { text: "a" }), "stopped", { stopped_by: bob }));
  apply(page, started(answer(3, "s")));
  apply(page, delta("s", 1, "b"));
  apply(page, delta("r", 2, "late"));
  assert.equal(text(page, "r"), "a");
  assert.equal(text(page, "s"), "b");
  assert.deepEqual(active(page), ["s"]);
});

test("a snapshot after reconnecting keeps older pages", () => {
  const page = emptyState();
  apply(page, snapshot([message(51), message(52)], { more: true }));
  apply(page, { type: "history.page", messages: [message(49), message(50)], more: true, ref: "earlier" });
  apply(page, snapshot([message(52), message(53)], { more: true }));
  assert.deepEqual([...page.messages.values()].map((each) => each.seq).sort(), [49, 50, 51, 52, 53]);
  assert.equal(page.more, true);
});

test("a snapshot that does not connect replaces all but unsent messages", () => {
  const page = following({ type: "local.message", client_id: "u", text: "hi", created_at: "2026-11-23T09:31:00Z" });
  const changes = apply(page, snapshot([message(80), message(81)], { more: true }));
  assert.deepEqual([...page.messages.keys()], ["u", "m-80", "m-81"]);
  assert.ok(changes.some((change) => change.type === "message" && change.key === "m-1"));
  assert.equal(page.more, true);
});

test("a snapshot never shortens an answer that is ahead of the stored text", () => {
  const page = following(started(answer(2, "r")), delta("r", 1, "a"), delta("r", 2, "b"));
  apply(page, snapshot([message(1), answer(2, "r", { text: "a" }, { seq: 1 })], { runs: [run("r", { seq: 1 })] }));
  assert.equal(text(page), "ab");
  apply(page, state(answer(2, "r", { text: "abc" }), 3));
  assert.equal(text(page), "abc");
});

test("a snapshot ends a run that has ended since", () => {
  const page = following(started(answer(2, "r")), delta("r", 1, "a"));
  const changes = apply(page, snapshot([message(1), answer(2, "r", { text: "abc" }, { status: "completed", seq: 3 })]));
  assert.equal(text(page), "abc");
  assert.deepEqual(active(page), []);
  assert.deepEqual(sent(changes), []);
});

test("a run that a snapshot leaves out is synced", () => {
  const page = following({ type: "ack", ref: "retry", message: null, client_id: null, run: "r" });
  assert.deepEqual(sent(apply(page, snapshot([message(1)]))), [{ type: "run.sync", run: "r", ref: "sync:r" }]);
  apply(page, { type: "error", ref: "sync:r", code: "not_found", message: "" });
  assert.deepEqual(active(page), []);
  assert.equal(page.messages.has("r"), false);
});

test("a queued run has an empty message that its answer replaces", () => {
  const page = emptyState();
  apply(page, snapshot([message(1)], { runs: [run("r", { status: "queued", message: null })] }));
  assert.equal(page.messages.get("r").run.status, "queued");
  assert.deepEqual(active(page), ["r"]);
  assert.deepEqual(shown(apply(page, started(answer(2, "r")))), ["r"]);
  assert.equal(page.messages.get("r").seq, 2);
});

test("a missing message is requested once", () => {
  const page = following();
  const command = { type: "history.load", before: 4, limit: 2, ref: "fill" };
  assert.deepEqual(sent(apply(page, started(answer(4, "r")))), [command]);
  assert.deepEqual(sent(apply(page, { type: "message.created", message: message(9) })), []);
  apply(page, { type: "history.page", messages: [message(2), message(3)], more: true, ref: "fill" });
  assert.equal(page.more, false, "that page says nothing about the beginning");
  const idle = conversation({ last_seq: 11 });
  assert.equal(sent(apply(page, { type: "conversation.updated", conversation: idle })).length, 1);
});

test("a message without an answer is noticed", () => {
  const page = following();
  assert.deepEqual(page.unanswered, { status: null });
  apply(page, started(answer(2, "r")));
  assert.equal(page.unanswered, null);
});

test("typing shows other users and ends with their message", () => {
  const page = following({ type: "typing", user: bob, on: true }, { type: "typing", user: ada, on: true });
  assert.deepEqual([...page.typing.values()], ["Bob"]);
  apply(page, { type: "message.created", message: message(2) });
  assert.equal(page.typing.size, 0);
});

test("only the chosen alternative is shown", () => {
  const both = { alternatives: ["m-r", "m-s"] };
  const page = following(started(answer(2, "r")), finished(answer(2, "r", { text: "one" })));
  assert.deepEqual(shown(apply(page, started(answer(3, "s", both)))), ["s", "r"]);
  apply(page, finished(answer(3, "s", { ...both, text: "two" })));
  const first = finished(answer(2, "r", { ...both, text: "one" })).message;
  assert.deepEqual(shown(apply(page, { type: "message.updated", message: first })), ["s", "r"]);
  assert.deepEqual([isShown(page, "m-r"), isShown(page, "m-s")], [true, false]);
  assert.equal(lastMessage(page).text, "one");
  assert.equal(page.messages.get("r").text, "one");
});

test("a message that a later snapshot leaves out is hidden", () => {
  const page = following(finished(answer(2, "r", { text: "one" })));
  apply(page, { type: "message.created", message: message(3) });
  assert.equal(isShown(page, "m-r"), true);
  const changes = apply(page, snapshot([message(3, { edited_at: "2026-11-23T09:32:00Z" })], { more: true }));
  assert.equal(isShown(page, "m-r"), true, "it is older than what the snapshot tells of");
  assert.ok(!shown(changes).includes("r"));
  assert.ok(shown(apply(page, snapshot([message(1), message(3)]))).includes("r"));
  assert.deepEqual([isShown(page, "m-r"), isShown(page, "m-1"), isShown(page, "m-3")], [false, true, true]);
  apply(page, { type: "message.updated", message: answer(2, "r", { text: "one" }) });
  assert.equal(isShown(page, "m-r"), true, "until somebody chooses it again");
});

test("the end of a hidden alternative does not show it", () => {
  const both = { alternatives: ["m-r", "m-s"] };
  const page = following(started(answer(2, "r")), finished(answer(2, "r")), started(answer(3, "s", both)));
  apply(page, { type: "message.updated", message: finished(answer(2, "r", both)).message });
  assert.deepEqual(apply(page, finished(answer(3, "s", both))), []);
  assert.equal(isShown(page, "m-s"), false);
});

test("a message that is marked as not shown is hidden", () => {
  const old = finished(answer(2, "r", { text: "old" })).message;
  const page = following(started(answer(2, "r")), finished(answer(2, "r", { text: "old" })));
  assert.deepEqual(shown(apply(page, { type: "message.updated", message: { ...old, shown: false } })).at(-1), "r");
  assert.equal(isShown(page, "m-r"), false);
  assert.equal(lastMessage(page).seq, 1, "its question");
  apply(page, { type: "message.updated", message: old });
  assert.equal(isShown(page, "m-r"), true);
});

test("an alternative whose start was lost is shown at its end", () => {
  const page = following(finished(answer(2, "r", { text: "one" })));
  const both = { alternatives: ["m-r", "m-s"], text: "two" };
  apply(page, finished(answer(3, "s", both)));
  assert.deepEqual([isShown(page, "m-r"), isShown(page, "m-s")], [false, true]);
});

test("a continued answer starts with the old text and replaces it", () => {
  const page = following(finished(answer(2, "r", { text: "One, " }), "stopped"));
  apply(page, started(answer(3, "s", { text: "One, ", replaces: "m-r", continues: true })));
  apply(page, delta("s", 1, "two."));
  assert.equal(text(page, "s"), "One, two.");
  assert.equal(isShown(page, "m-r"), false);
});

test("an edited or deleted message replaces the old version", () => {
  const page = following(finished(answer(2, "r")), {
    type: "message.created",
    message: message(3, { author: ada, text: "helo" }),
  });
  assert.equal(lastOwnMessage(page).seq, 3);
  apply(page, {
    type: "message.updated",
    message: message(3, { author: ada, text: "hello", edited_at: "2026-11-23T09:32:00Z" }),
  });
  assert.equal(text(page, "m-3"), "hello");
  const gone = message(3, { author: ada, text: "", deleted_at: "2026-11-23T09:33:00Z" });
  assert.deepEqual(shown(apply(page, { type: "message.deleted", message: gone })), ["m-3"]);
  assert.equal(lastMessage(page).seq, 2, "nothing is said by what was deleted");
  assert.equal(lastOwnMessage(page), null);
});

test("a queued run shows its place", () => {
  const page = following();
  assert.deepEqual(shown(apply(page, { type: "run.queued", run: "r", place: 3 })), ["r"]);
  assert.deepEqual(active(page), ["r"]);
  apply(page, { type: "run.queued", run: "r", place: 2 });
  assert.equal(page.messages.get("r").run.place, 2);
  apply(page, started(answer(2, "r")));
  assert.equal(page.messages.get("r").run.place, null);
  assert.deepEqual(apply(page, { type: "run.queued", run: "r", place: 1 }), [], "late");
});

test("participants and the user's role follow the events", () => {
  const page = emptyState();
  apply(page, snapshot([], { participants: [participant("p1", ada, "owner"), participant("p2", bob)] }));
  apply(page, { type: "participant.updated", participant: participant("p1", ada, "viewer") });
  assert.equal(page.you.role, "viewer");
  assert.equal(page.you.staff, false);
  apply(page, { type: "typing", user: bob, on: true });
  apply(page, { type: "participant.left", participant: participant("p2", bob) });
  assert.deepEqual([...page.participants.keys()], ["p1"]);
  assert.equal(page.typing.size, 0);
  apply(page, { type: "participant.joined", participant: participant("p3", bob) });
  assert.deepEqual([...page.participants.keys()], ["p1", "p3"]);
});

test("presence is what each process said last, until it expires", () => {
  const page = following();
  const names = () =>
    presentPeople(page)
      .map(({ name }) => name)
      .sort();
  apply(page, { type: "presence", host: "a", people: [ada], at: 1000 });
  apply(page, { type: "presence", host: "b", people: [ada, bob], at: 2000 });
  assert.deepEqual(names(), ["Ada", "Bob"]);
  assert.deepEqual(apply(page, { type: "local.presence_expired", now: 61_000 }), []);
  apply(page, { type: "presence", host: "a", people: [ada], at: 61_500 });
  assert.deepEqual(apply(page, { type: "local.presence_expired", now: 62_001 }), [{ type: "people" }]);
  assert.deepEqual(names(), ["Ada"]);
  apply(page, { type: "presence", host: "a", people: [], at: 62_500 });
  assert.deepEqual(names(), []);
});

test("an outage is known until it ends", () => {
  const page = following({ type: "notice", code: "database_away", message: "The database is away." });
  apply(page, { type: "notice", code: "layer_away", message: "The layer is away." });
  apply(page, { type: "notice", code: "database_back", message: "" });
  apply(page, { type: "notice", code: "model_away", message: "The model has problems." });
  apply(page, { type: "notice", code: "model_back", message: "" });
  assert.deepEqual([...page.outages], [["layer", "The layer is away."]]);
  apply(page, snapshot([message(1)]));
  assert.equal(page.outages.size, 0);
});

test("the unread mark stays until the user sends a message", () => {
  const yours = { role: "owner", unread: 2, last_read: 5, pinned: false, archived: false };
  const page = emptyState();
  apply(page, snapshot([message(6), message(7)], { conversation: conversation({ yours }) }));
  assert.equal(page.unread, 5);
  apply(page, { type: "conversation.updated", conversation: conversation({ last_seq: 7 }) });
  assert.deepEqual(page.yours, yours, "a frame for all says nothing of it");
  apply(
    page,
    snapshot([message(6), message(7)], {
      conversation: conversation({ yours: { ...yours, last_read: 7, unread: 0 } }),
    }),
  );
  assert.equal(page.unread, 5, "also after reconnecting");
  apply(page, { type: "local.message", client_id: "u", text: "hi", created_at: "2026-11-23T09:31:00Z" });
  assert.equal(page.unread, null);
});

test("a message needs no answer if the agent answers mentions only", () => {
  const page = emptyState();
  apply(page, snapshot([message(1)], { conversation: conversation({ answers: "mention" }) }));
  assert.equal(page.unanswered, null);
});

test("conversation.state reveals what was lost at the end", () => {
  const page = following(started(answer(2, "r")));
  assert.deepEqual(sent(apply(page, { type: "conversation.state", last_seq: 2, run: "r" })), []);
  assert.deepEqual(sent(apply(page, { type: "conversation.state", last_seq: 4, run: "another" })), [
    { type: "history.load", before: 5, limit: 2, ref: "fill" },
    { type: "run.sync", run: "r", ref: "sync:r" },
    { type: "run.sync", run: "another", ref: "sync:another" },
  ]);
});

test("a busy model is waited for until its answer comes", () => {
  const page = following(started(answer(2, "r")));
  assert.deepEqual(apply(page, { type: "run.waiting", run: "r", retry_in: 20, at: 1000 }), []);
  assert.equal(page.runs.get("r").retryAt, 21_000);
  apply(page, { ...state(answer(2, "r", {}, { retry_in: 12.5 }), 0), at: 8000 });
  assert.equal(page.runs.get("r").retryAt, 20_500, "for those who come later");
  apply(page, delta("r", 1, "a"));
  assert.equal(page.runs.get("r").retryAt, null);
  assert.equal(text(page), "a", "the frame has no number");
});

test("another model answers instead of a busy one", () => {
  const page = following(started(answer(2, "r")));
  apply(page, { type: "run.waiting", run: "r", retry_in: 20, at: 1000 });
  assert.equal(page.runs.get("r").fellBack, false);
  assert.deepEqual(apply(page, { type: "run.fallback", run: "r", model: "b:c" }), []);
  assert.equal(page.runs.get("r").fellBack, true);
  assert.equal(page.runs.get("r").retryAt, null, "nobody waits any longer");
});

test("a question can be asked again until somebody writes after it", () => {
  const page = emptyState();
  apply(page, snapshot([message(1, { author: ada }), answer(2, "r", {}, { status: "completed" })]));
  assert.equal(lastQuestion(page)?.id, "m-1");
  apply(page, { type: "local.message", client_id: "k", text: "More", created_at: null });
  assert.equal(lastQuestion(page), null, "an unsent message follows it");
  apply(page, { type: "local.refused", client_id: "k" });
  assert.equal(lastQuestion(page)?.id, "m-1");
  apply(page, { type: "message.created", message: message(3) });
  assert.equal(lastQuestion(page), null);
  apply(page, { type: "message.deleted", message: message(3, { deleted_at: "2026-11-23T09:30:00Z" }) });
  assert.equal(lastQuestion(page)?.id, "m-1");
});

test("an unknown event is ignored", () => {
  assert.deepEqual(apply(following(), { type: "weather" }), []);
});

// Any order of losses, repeats, reconnections and stale checkpoints ends with exactly the stored text and calls.
test("after any loss the page ends with the stored message", () => {
  for (let seed = 1; seed <= 1000; seed += 1) {
    const random = generator(seed);
    const page = emptyState();
    const frames = Array.from({ length: 1 + Math.floor(random() * 40) }, (_, index) =>
      random() < 0.2
        ? tool("r", index + 1, call(`c${Math.floor(random() * 3)}`, "running", { result: `${index}` }))
        : delta("r", index + 1, `${index} 🧭`),
    );
    const textOf = (seq) =>
      frames
        .slice(0, seq)
        .map((frame) => frame.text ?? "")
        .join("");
    const callsOf = (seq) => {
      const placed = new Map();
      for (const frame of frames.slice(0, seq)) if (frame.call) placed.set(frame.call.id, frame.call);
      return [...placed.values()];
    };
    const partsOf = (seq) => {
      const parts = [];
      const placed = new Set();
      for (const { text, call } of frames.slice(0, seq)) {
        if (call) {
          if (!placed.has(call.id)) parts.push({ type: "call", call: call.id });
          placed.add(call.id);
        } else if (parts.at(-1)?.type === "text") parts.at(-1).length += [...text].length;
        else parts.push({ type: "text", length: [...text].length });
      }
      return parts;
    };
    const row = (seq) => answer(2, "r", { text: textOf(seq), calls: callsOf(seq), parts: partsOf(seq) }, { seq });
    const checkpoint = (seq) => row(Math.max(0, seq - Math.floor(random() * 8)));
    const hear = (event, seq) => {
      for (const command of sent(apply(page, event))) {
        if (command.type === "run.sync") hear(state(row(seq), seq), seq);
        else if (command.type === "history.load")
          hear({ type: "history.page", messages: [message(1)], more: false, ref: "fill" }, seq);
      }
    };
    hear(snapshot([message(1)]), 0);
    if (random() < 0.8) hear(started(row(0)), 0);
    for (let seq = 1; seq <= frames.length; seq += 1) {
      if (random() < 0.1) {
        const old = checkpoint(seq - 1);
        hear(snapshot([message(1), old], { runs: [old.run] }), seq - 1);
        if (random() < 0.5) hear(state(row(seq - 1), seq - 1), seq - 1);
      }
      if (random() < 0.2) continue; // lost
      hear(frames[seq - 1], seq);
      if (random() < 0.2) hear(frames[seq - 1], seq); // twice
      const reached = page.runs.get("r").seq;
      assert.equal(text(page), textOf(reached), `seed ${seed}, frame ${seq}`);
      assert.deepEqual(page.messages.get("r").calls, callsOf(reached), `seed ${seed}, frame ${seq}`);
      assert.deepEqual(page.messages.get("r").parts, partsOf(reached), `seed ${seed}, frame ${seq}`);
    }
    const end = row(frames.length);
    if (random() < 0.8) hear(finished(end), frames.length);
    else hear(snapshot([message(1), { ...end, run: { ...end.run, status: "completed" } }]), frames.length);
    assert.equal(text(page), textOf(frames.length), `seed ${seed}`);
    assert.deepEqual(page.messages.get("r").calls, callsOf(frames.length), `seed ${seed}`);
    assert.deepEqual(active(page), []);
  }
});

function generator(seed) {
  let value = seed;
  return () => {
    value = (value * 1_664_525 + 1_013_904_223) % 4_294_967_296;
    return value / 4_294_967_296;
  };
}
