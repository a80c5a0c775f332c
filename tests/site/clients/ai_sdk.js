// The AI SDK, unchanged: what `useChat` does, without React around it.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  AbstractChat,
  lastAssistantMessageIsCompleteWithApprovalResponses as allDecided,
  DefaultChatTransport,
  isToolUIPart,
} from "ai";
import { headers, OTHER_TOKEN, SECOND_SITE, SITE, TOKEN, until, upstream, words } from "./site.js";

class Chat extends AbstractChat {
  constructor({ site = SITE, agent = "assistant", token = TOKEN, messages = [], ...init } = {}) {
    const state = {
      status: "ready",
      error: undefined,
      messages,
      pushMessage: (message) => state.messages.push(message),
      popMessage: () => state.messages.pop(),
      replaceMessage: (index, message) => {
        state.messages[index] = structuredClone(message);
      },
      snapshot: structuredClone,
    };
    const transport = new DefaultChatTransport({
      api: `${site}/chat/ai-sdk/${agent}`,
      headers: { Authorization: `Bearer ${token}` },
    });
    super({ transport, state, ...init });
  }

  /** The last message as [kind, text or state] of its parts. */
  get said() {
    return this.lastMessage.parts.map((part) => [part.type, part.text ?? part.state]);
  }

  get text() {
    return this.lastMessage?.role === "assistant" ? this.said.map(([, text]) => text).join("") : "";
  }
}

const hello = { text: "words@n=3" };
const flowing = { text: "flowing" };
const begun = (chat) => until(() => chat.text.length > 3, "the first words");
const activeRuns = async () => (await upstream.stats()).active;
const post = (body, token = TOKEN) =>
  fetch(`${SITE}/chat/ai-sdk/assistant`, { method: "POST", body, headers: { Authorization: `Bearer ${token}` } });
const stop = (chat, method = "POST") =>
  fetch(`${SECOND_SITE}/chat/ai-sdk/assistant/${chat.id}/stop`, { method, headers });

test("an answer is shown as it comes, with what the model thinks", async () => {
  const chat = new Chat();
  const sending = chat.sendMessage(flowing);
  await begun(chat);
  assert.equal(chat.status, "streaming");
  await upstream.release();
  await sending;
  assert.equal(chat.status, "ready");
  assert.equal(chat.text, words(chat.text.split(" ").length - 1));

  const thinker = new Chat({ agent: "thinker" });
  await thinker.sendMessage(hello);
  assert.deepEqual(thinker.said, [
    ["reasoning", "t0 t1 t2 "],
    ["text", words(3)],
  ]);
  assert(thinker.lastMessage.parts.every((part) => part.state === "done"));
});

test("the client's history is what the model gets, also of an answer that is made again", async () => {
  const chat = new Chat({ agent: "echo" });
  await chat.sendMessage({ text: "One" });
  await chat.sendMessage({ text: "Two" });
  assert.deepEqual(await upstream.told(), [
    ["user", "One"],
    ["assistant", "One "],
    ["user", "Two"],
  ]);
  const before = chat.lastMessage.id;
  await chat.regenerate();
  assert.equal((await upstream.told()).length, 3);
  assert.equal(chat.messages.length, 4);
  assert.notEqual(chat.lastMessage.id, before);
});

test("the calls of the agent's tools are parts", async () => {
  const chat = new Chat({ agent: "clerk" });
  await chat.sendMessage({ text: "order missing" });
  const [text, order, missing, result] = chat.lastMessage.parts;
  assert.equal(text.text, "Let me see. ");
  assert.equal(order.type, "dynamic-tool");
  assert.deepEqual([order.toolName, order.state, order.input], ["look_up", "output-available", { order: 7 }]);
  assert.match(order.output, /shipped/);
  assert.equal(missing.state, "output-error");
  assert.match(missing.errorText, /no such order/);
  assert.match(result.text, /Result: /);
  await chat.sendMessage({ text: "Thanks" }); // the parts that are no text come back, and do not matter
  assert.equal(chat.error, undefined);
});

for (const approved of [true, false]) {
  test(`a call that ${approved ? "the user approves" : "they reject"}`, async () => {
    const chat = new Chat({ agent: "clerk", sendAutomaticallyWhen: allDecided });
    await chat.sendMessage({ text: "refund" });
    assert.deepEqual(chat.said, [
      ["text", "Let me see. "],
      ["dynamic-tool", "approval-requested"],
    ]);
    const [, call] = chat.lastMessage.parts;
    assert.deepEqual([call.toolName, call.input], ["refund", { order: 7, amount: 5 }]);
    const { id } = chat.lastMessage;
    await chat.addToolApprovalResponse({ id: call.approval.id, approved, reason: "Because." });
    await until(() => chat.status === "ready" && chat.lastMessage.parts.length > 2, "the rest of the answer");
    assert.equal(chat.messages.length, 2);
    assert.equal(chat.lastMessage.id, id);
    const [first, decided, last] = chat.lastMessage.parts;
    assert.equal(first.text, "Let me see. ");
    assert.equal(decided.state, approved ? "output-available" : "output-denied");
    if (approved) assert.equal(decided.output, "refunded 5.0 for 7");
    assert.match(last.text, approved ? /refunded 5/ : /Because/);
    assert(chat.lastMessage.parts.filter(isToolUIPart).length === 1);
  });
}

test("a page that is loaded again resumes the answer, from its beginning", async () => {
  const chat = new Chat({ id: "resumed" });
  void chat.sendMessage(flowing);
  await begun(chat);
  const again = new Chat({ id: "resumed", site: SECOND_SITE, messages: chat.messages.slice(0, 1) });
  const resuming = again.resumeStream();
  await begun(again);
  await chat.stop(); // the first page goes
  await upstream.release();
  await resuming;
  assert.equal(again.status, "ready");
  assert.equal(again.messages.length, 2);
  assert.equal(again.lastMessage.id, chat.lastMessage.id);
  assert.equal(again.text, words(again.text.split(" ").length - 1));
  assert(again.text.startsWith(chat.text));
  await again.resumeStream(); // nothing is running
  assert.deepEqual([again.status, again.error, again.messages.length], ["ready", undefined, 2]);
});

test("a page that is loaded again shows what waits for a decision", async () => {
  const chat = new Chat({ id: "waiting", agent: "clerk" });
  await chat.sendMessage({ text: "order refund" });
  const again = new Chat({
    id: "waiting",
    site: SECOND_SITE,
    agent: "clerk",
    messages: chat.messages.slice(0, 1),
    sendAutomaticallyWhen: allDecided,
  });
  await again.resumeStream();
  assert.deepEqual(again.lastMessage, chat.lastMessage);
  const call = again.lastMessage.parts.find(({ state }) => state === "approval-requested");
  await again.addToolApprovalResponse({ id: call.approval.id, approved: true });
  await until(() => again.status === "ready" && again.text.includes("Result: "), "the rest of the answer");
  const { id, parts } = again.lastMessage;
  assert.equal(id, chat.lastMessage.id);
  assert.deepEqual(
    parts.map(({ toolName, state }) => [toolName, state]),
    [
      [undefined, "done"],
      ["look_up", "output-available"],
      ["refund", "output-available"],
      [undefined, "done"],
    ],
  );
  await chat.addToolApprovalResponse({ id: call.approval.id, approved: false }); // too late, so it changes nothing
  await chat.sendMessage();
  const shown = (each) => each.map(({ output, text }) => output ?? text);
  assert.deepEqual(shown(chat.lastMessage.parts), shown(parts));
});

test("only the user of a chat resumes and stops it", async () => {
  const chat = new Chat({ id: "private" });
  const sending = chat.sendMessage(flowing);
  await begun(chat);
  const stranger = new Chat({ id: "private", token: OTHER_TOKEN });
  await stranger.resumeStream();
  assert.deepEqual([stranger.status, stranger.messages], ["ready", []]);
  const stopping = await fetch(`${SITE}/chat/ai-sdk/assistant/private/stop`, {
    method: "POST",
    headers: { Authorization: `Bearer ${OTHER_TOKEN}` },
  });
  assert.equal(stopping.status, 204);
  assert.equal(await activeRuns(), 1);
  await upstream.release();
  await sending;
});

test("the user stops an answer, and what was said stays", async () => {
  const chat = new Chat();
  const { aborted } = await upstream.ended();
  const sending = chat.sendMessage(flowing);
  await begun(chat);
  assert.equal((await stop(chat)).status, 204);
  await sending;
  assert.deepEqual([chat.status, chat.error], ["ready", undefined]);
  assert(chat.text.startsWith("w0 "));
  assert.equal((await upstream.ended()).aborted, aborted + 1);
  assert.equal((await stop(chat)).status, 204); // nothing is running
  assert.equal((await stop(chat, "GET")).status, 405);
});

test("an answer that nobody comes back for is stopped, and so is one that is asked again", async () => {
  const chat = new Chat();
  const { aborted } = await upstream.ended();
  void chat.sendMessage(flowing);
  await begun(chat);
  await chat.stop();
  assert.equal((await upstream.ended()).aborted, aborted + 1); // after DISCONNECT_GRACE

  void chat.sendMessage(flowing);
  await until(activeRuns, "an answer");
  await chat.stop();
  const sending = chat.sendMessage(hello);
  await until(async () => (await upstream.stats()).aborted === aborted + 2, "the end of the first answer");
  await sending;
  assert.equal(chat.error, undefined);
});

test("an answer that fails says why", async () => {
  const chat = new Chat();
  await chat.sendMessage({ text: "fails@n=20,delay=20" });
  assert.equal(chat.status, "error");
  assert.match(chat.error.message, /^[A-Z].*\.$/);
  await chat.sendMessage({ text: "status@code=401" });
  assert.match(chat.error.message, /^[A-Z].*\.$/);
  assert.doesNotMatch(chat.error.message, /sk-/);
});

test("what the chat cannot do is refused", async () => {
  const { started } = await upstream.stats();
  const file = { type: "file", mediaType: "image/png", url: "data:image/png;base64,AAAA" };
  const stranger = new Chat({ token: "nct_wrong" });
  await stranger.sendMessage(hello);
  assert.equal(JSON.parse(stranger.error.message).code, "unauthorized");
  const unknown = new Chat({ agent: "nobody" });
  await unknown.sendMessage(hello);
  assert.equal(JSON.parse(unknown.error.message).code, "not_found");
  const picture = new Chat();
  await picture.sendMessage({ text: "What is this?", files: [file] });
  assert.match(JSON.parse(picture.error.message).message, /'file' is not supported/);

  const said = (role, ...parts) => ({ id: "m", role, parts });
  const text = (text) => ({ type: "text", text });
  const decided = { type: "dynamic-tool", state: "approval-responded", approval: { id: "1", approved: true } };
  const unknownCall = { ...decided, approval: { id: crypto.randomUUID(), approved: true } };
  for (const [status, body] of [
    [400, "["],
    [400, "7"],
    [400, { messages: [said("user", text("a"))] }],
    [400, { id: "c", messages: [] }],
    [400, { id: "", messages: [said("user", text("a"))] }],
    [400, { id: "c", messages: [said("user", text(" "))] }],
    [400, { id: "c", messages: [said("assistant", text("a"))] }],
    [400, { id: "c", messages: [said("robot", text("a"))] }],
    [400, { id: "c", messages: Array(501).fill(said("user", text("a"))) }],
    [400, { id: "c", messages: [said("assistant", decided)] }],
    [404, { id: "c", messages: [said("assistant", unknownCall)] }],
    [413, { id: "c", messages: [said("user", text("x".repeat(32_001)))] }],
    [413, { id: "c", messages: Array(100).fill(said("user", text("x".repeat(30_000)))) }],
  ]) {
    const answer = await post(typeof body === "string" ? body : JSON.stringify(body));
    assert.equal(answer.status, status, JSON.stringify(body).slice(0, 200));
    assert((await answer.json()).message);
  }
  assert.equal((await upstream.stats()).started, started);
});
