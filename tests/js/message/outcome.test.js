import assert from "node:assert/strict";
import { test } from "node:test";

import { outcomeOf, usageOf } from "../../../chat/static/nous_chat/message/outcome.js";

import { ada, answer, bob } from "../wire.js";

const ended = (fields, text = "so far") => outcomeOf(answer(2, "r", { text }, fields), ada);
const failure = { code: "idle_timeout", message: "The model was silent for 60 seconds.", retry_after: null };

test("complete and active answers have no outcome", () => {
  assert.equal(ended({ status: "completed", finish_reason: "stop" }), null);
  for (const status of ["queued", "running", "awaiting_approval"]) assert.equal(ended({ status }), null);
  assert.equal(outcomeOf({ text: "hi", run: null }, ada), null);
});

test("the outcome of a stop says who stopped it and after how many tokens", () => {
  const stopped = (fields) => ended({ status: "stopped", cut_off: true, ...fields }).sentence;
  assert.equal(stopped({ stopped_by: bob, usage: { output_tokens: 412 } }), "Bob stopped this after 412 tokens.");
  assert.equal(stopped({ stopped_by: ada, usage: null, tokens: 1 }), "You stopped this after 1 token.");
  assert.equal(stopped({ stopped_by: bob }), "Bob stopped this.");
  assert.equal(stopped({ stopped_by: ada, tokens: 0 }), "You stopped this before it began.");
  assert.equal(
    stopped({ error: { code: "abandoned", message: "Everyone had left.", retry_after: null } }),
    "Everyone had left.",
  );
});

test("an answer with text can be continued, one without can be retried", () => {
  assert.equal(ended({ status: "interrupted", cut_off: true }).act, "continue");
  assert.equal(ended({ status: "interrupted", cut_off: true }, "").act, "retry");
  const limit = ended({ status: "completed", finish_reason: "max_tokens", cut_off: true });
  assert.equal(limit.act, "continue");
  assert.match(limit.sentence, /length limit/);
  const paused = ended({ status: "completed", finish_reason: "pause_turn", cut_off: true });
  assert.deepEqual([paused.act, paused.sentence], ["continue", "The model paused here."]);
  assert.deepEqual(ended({ status: "completed", finish_reason: "content_filter" }).act, "retry");
});

test("a failed answer says why and when to try again", () => {
  const { sentence, tone } = ended({ status: "failed", cut_off: true, error: { ...failure, retry_after: 29.2 } });
  assert.equal(sentence, "The model was silent for 60 seconds. Try again in 30 seconds.");
  assert.equal(tone, "bad");
  const finished_at = new Date(Date.now() - 60_000).toISOString();
  const old = ended({ status: "failed", cut_off: true, error: { ...failure, retry_after: 29.2 }, finished_at });
  assert.equal(old.sentence, "The model was silent for 60 seconds.", "that time has passed");
});

test("the usage of an answer is one line", () => {
  const message = answer(
    2,
    "r",
    {},
    {
      status: "completed",
      model: "openai:gpt-4o:latest",
      usage: { input_tokens: 1200, output_tokens: 34, total_tokens: 1234 },
      cost: "0.001234",
      started_at: "2026-11-23T09:30:00Z",
      finished_at: "2026-11-23T09:30:02.500Z",
    },
  );
  const used = (fields, others) => usageOf({ ...message, ...others, run: { ...message.run, ...fields } });
  assert.equal(used(), "gpt-4o:latest · 1,200 in, 34 out, 1,234 tokens · 2.5\u00a0s · $0.0012");
  assert.equal(used({ usage: null, cost: null, finished_at: null }), "gpt-4o:latest");
  assert.equal(used({ status: "running" }), "");
  assert.equal(used({}, { deleted_at: "2026-11-23T09:30:00Z" }), "");
  const continued = used({ tokens: 84 }, { continues: true });
  assert.equal(continued, "gpt-4o:latest · 1,200 in, 84 out · $0.0012", "of the whole answer");
});
