// AG-UI's HttpAgent, unchanged, which CopilotKit uses.

import assert from "node:assert/strict";
import { test } from "node:test";
import { HttpAgent } from "@ag-ui/client";
import { headers, SITE, until, upstream, words } from "./site.js";

function agentOf(slug = "assistant", options = {}) {
  return new HttpAgent({ url: `${SITE}/chat/ag-ui/${slug}`, headers, ...options });
}

let number = 0;

/** Ask, and return the events of the answer. */
async function ask(agent, content, parameters = {}) {
  const events = [];
  agent.addMessage({ id: `q${++number}`, role: "user", content });
  await agent.runAgent(parameters, { onEvent: ({ event }) => void events.push(event) });
  return events;
}

const kinds = (events) => events.map(({ type }) => type).filter((type, index, all) => type !== all[index - 1]);
const said = (agent) => agent.messages.map(({ role, content }) => [role, content]);

test("an answer is shown as it comes", async () => {
  const agent = agentOf("assistant", { threadId: "thread" });
  let text = "";
  agent.addMessage({ id: "q", role: "user", content: "flowing" });
  const running = agent.runAgent(
    { runId: "run" },
    {
      onTextMessageContentEvent: ({ textMessageBuffer, event }) => {
        text = textMessageBuffer + event.delta;
      },
    },
  );
  await until(() => text.length > 3, "the first words");
  await upstream.release();
  await running;
  const answer = agent.messages.at(-1).content;
  assert(answer.startsWith(text));
  assert.equal(answer, words(answer.split(" ").length - 1));

  const [started, ...rest] = await ask(agent, "words@n=3", { runId: "other" });
  assert.deepEqual([started.threadId, started.runId], ["thread", "other"]);
  assert.deepEqual(kinds(rest), ["TEXT_MESSAGE_START", "TEXT_MESSAGE_CONTENT", "TEXT_MESSAGE_END", "RUN_FINISHED"]);
});

test("what the model thinks is a message of its own", async () => {
  const agent = agentOf("thinker");
  const events = await ask(agent, "Hello");
  assert.deepEqual(said(agent).slice(1), [
    ["reasoning", "t0 t1 t2 "],
    ["assistant", words(3)],
  ]);
  assert.deepEqual(kinds(events).slice(1, 6), [
    "REASONING_START",
    "REASONING_MESSAGE_START",
    "REASONING_MESSAGE_CONTENT",
    "REASONING_MESSAGE_END",
    "REASONING_END",
  ]);
});

test("the client's messages and context are what the model gets", async () => {
  const agent = agentOf("echo");
  agent.addMessage({ id: "s", role: "system", content: "Speak Latin." });
  await ask(agent, "One", { context: [{ description: "The page", value: "Orders" }] });
  await ask(agent, "Two");
  assert.deepEqual((await upstream.told()).at(-1), ["user", "Two"]);
  assert.equal((await upstream.told())[0][1], "Speak Latin.\n\nOne");
  await ask(agent, "Three", { context: [{ description: "The page", value: "Orders" }] });
  assert.equal((await upstream.told())[0][1], "The page\nOrders\n\nSpeak Latin.\n\nOne");
});

test("the calls of the agent's tools are shown", async () => {
  const agent = agentOf("clerk");
  await ask(agent, "order missing");
  const [, first, calls, ...rest] = agent.messages;
  const { toolCalls } = [first, calls].find((message) => message.toolCalls?.length);
  assert.equal(first.content, "Let me see. ");
  assert.deepEqual(toolCalls[0].function, { name: "look_up", arguments: '{"order":7}' });
  const results = agent.messages.filter(({ role }) => role === "tool").map(({ content }) => content);
  assert.equal(results.length, 2);
  assert(results.some((content) => content.includes("shipped")));
  assert(results.some((content) => content.includes("no such order")));
  assert.match(rest.at(-1).content, /Result: /);
  await ask(agent, "Thanks"); // the messages that are no text come back, and do not matter
});

test("the user stops an answer", async () => {
  const agent = agentOf();
  const { aborted } = await upstream.ended();
  const running = ask(agent, "flowing");
  await until(() => agent.messages.at(-1).content?.startsWith("w0"), "the first words");
  agent.abortRun();
  await running;
  assert.equal((await upstream.ended()).aborted, aborted + 1);
  assert(agent.messages.at(-1).content.startsWith("w0"));
});

test("an answer that fails says why", async () => {
  const failed = async (slug, content) => (await ask(agentOf(slug), content)).at(-1);
  for (const content of ["fails@n=20,delay=20", "status@code=401"]) {
    const { type, message } = await failed("assistant", content);
    assert.equal(type, "RUN_ERROR");
    assert.match(message, /^[A-Z].*\.$/);
    assert.doesNotMatch(message, /sk-/);
  }
  assert.equal((await failed("clerk", "refund")).code, "approval_required");
  await upstream.ended();
});

test("what the chat cannot do is refused", async () => {
  const { started } = await upstream.stats();
  const refused = async (agent, content, parameters = {}) => {
    const { payload, status } = await ask(agent, content, parameters).then(assert.fail, (error) => error);
    assert(payload.message);
    return [status, payload.code];
  };
  const tool = { name: "look", description: "Look.", parameters: { type: "object" } };
  const picture = { type: "image", source: { type: "url", value: "https://example.org/a.png" } };
  const wrong = { Authorization: "Bearer nct_wrong" };
  assert.deepEqual(await refused(agentOf("assistant", { headers: wrong }), "Hello"), [401, "unauthorized"]);
  assert.deepEqual(await refused(agentOf("nobody"), "Hello"), [404, "not_found"]);
  assert.deepEqual(await refused(agentOf(), "Hello", { tools: [tool] }), [400, "invalid"]);
  assert.deepEqual(await refused(agentOf(), [picture]), [400, "invalid"]);
  assert.deepEqual(await refused(agentOf(), " "), [400, "empty"]);
  assert.deepEqual(await refused(agentOf(), "x".repeat(32_001)), [413, "too_large"]);

  const user = { id: "1", role: "user", content: "Hello" };
  const input = { threadId: "t", runId: "r", messages: [user], tools: [], context: [], state: {}, forwardedProps: {} };
  for (const changed of [
    "[",
    7,
    { ...input, messages: [] },
    { ...input, messages: [{ ...user, role: "robot" }] },
    { ...input, messages: [{ ...user, role: "assistant" }] },
    { ...input, messages: [{ ...user, content: { a: 1 } }] },
    { ...input, messages: Array(501).fill(user) },
    { ...input, resume: [{ interruptId: "1", status: "resolved" }] },
    { ...input, threadId: "" },
  ]) {
    const body = typeof changed === "string" ? changed : JSON.stringify(changed);
    const answer = await fetch(`${SITE}/chat/ag-ui/assistant`, { method: "POST", headers, body });
    assert.equal(answer.status, 400, body.slice(0, 200));
  }
  assert.equal((await upstream.stats()).started, started);
});
