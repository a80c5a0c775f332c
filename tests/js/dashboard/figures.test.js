import assert from "node:assert/strict";
import { test } from "node:test";

import { stretches } from "../../../chat/static/nous_chat/dashboard/chart.js";
import { Figures, quantile } from "../../../chat/static/nous_chat/dashboard/figures.js";

const labels = {
  streamed_characters_total: ["model", "agent"],
  runs_total: ["status", "model", "agent"],
  run_errors_total: ["code", "model", "agent"],
  first_token_seconds: ["model", "agent"],
  runs_active: ["model", "agent"],
  delta_lag_seconds: [],
  sockets: ["kind"],
};
const buckets = { first_token_seconds: [1, 2, 4], delta_lag_seconds: [0.1, 1] };
const NOON = 1_800_000_000; // a full minute
const figures = () => new Figures({ labels, buckets });

const report = (host, at, series = [], more = {}) => {
  return { type: "report", host, at, draining: false, series, runs: [], minutes: [], ...more };
};
const characters = (value, model = "m") => ["streamed_characters_total", [model, "a"], value, []];

test("a rate is measured by the server's clock, over the last reports, and added up", () => {
  const found = figures();
  for (let second = 0; second < 10; second++) {
    found.apply(report("one", NOON + second, [characters(second * 40)]), second * 3000);
    found.apply(report("two", NOON + second * 2, [characters(1000 + second * 80)]), second * 3000);
  }
  assert.equal(found.totals(27_000).tokens, 20);
  assert.deepEqual(
    found.processes(27_000).map(({ host, tokens }) => [host, tokens]),
    [
      ["one", 10],
      ["two", 10],
    ],
  );
});

test("a process that started again does not make a negative rate", () => {
  const found = figures();
  found.apply(report("one", NOON, [characters(400)]), 0);
  found.apply(report("one", NOON + 1, [characters(0)]), 1000);
  assert.equal(found.totals(1000).tokens, 0);
});

test("a process without reports is silent, its runs are stuck, and in the end it is forgotten", () => {
  const found = figures();
  const runs = [{ id: "r", conversation: "c", model: "m", agent: "a", age: 5, silence: 1 }];
  found.apply({ type: "watching", processes: ["one", "hung"] }, 0);
  found.apply(report("one", NOON, [], { runs }), 0);
  assert.deepEqual([found.runs(2000)[0].stuck, found.processes(2000)[1].silentFor], [false, 0]);
  const [run] = found.runs(3000);
  assert.deepEqual([run.stuck, run.hangs, run.age], [true, true, 8]);
  assert.deepEqual(
    found.processes(3000).map(({ host, silentFor }) => [host, silentFor]),
    [
      ["hung", 3],
      ["one", 3],
    ],
  );
  found.resume(3000); // it was the connection
  assert.equal(found.runs(3500)[0].stuck, false);
  found.expire(64_000);
  assert.deepEqual(found.processes(64_000), []);
});

test("a process that ends is forgotten soon", () => {
  const found = figures();
  found.apply(report("one", NOON, [], { draining: true }), 0);
  found.expire(2000);
  assert.equal(found.processes(2000).length, 1);
  found.expire(4000);
  assert.equal(found.processes(4000).length, 0);
});

test("a run is stuck when nothing was heard of its model, and those that wait are not", () => {
  const found = figures();
  const run = (id, more) => ({ id, conversation: "c", model: "m", agent: "a", ...more });
  const runs = [
    run("waits", { queued: true }),
    run("fine", { age: 90, silence: 14 }),
    run("stuck", { age: 20, silence: 16 }),
  ];
  found.apply(report("one", NOON, [], { runs }), 0);
  assert.deepEqual(
    found.runs(0).map(({ id, stuck }) => [id, stuck]),
    [
      ["fine", false],
      ["stuck", true],
      ["waits", false],
    ],
  );
});

test("the last hour comes from the minutes of all processes, and a minute is kept as it was seen last", () => {
  const found = figures();
  const minute = (at, seconds, ...series) => ({ at, seconds, series });
  found.apply(
    { type: "past", host: "one", minutes: [minute(NOON - 60, 60, characters(2400), ["runs_active", [], 2, []])] },
    0,
  );
  const first = ["first_token_seconds", ["m", "a"], 3, [0, 2, 0, 0]];
  const failed = ["run_errors_total", ["overloaded", "m", "a"], 2, []];
  found.apply(report("one", NOON, [], { minutes: [minute(NOON, 10, characters(40))] }), 0);
  found.apply(report("one", NOON, [], { minutes: [minute(NOON, 20, characters(800), first, failed)] }), 0);
  found.apply({ type: "past", host: "one", minutes: [minute(NOON, 5)] }, 0); // it was under way longer
  found.apply(report("two", NOON, [], { minutes: [minute(NOON, 20, characters(800), ["runs_active", [], 3, []])] }), 0);
  const hour = found.hour((NOON + 30) * 1000);
  assert.equal(hour.length, 60);
  assert.deepEqual([hour[57].at, hour[57].tokens], [NOON - 120, null]);
  assert.deepEqual([hour[58].tokens, hour[58].active, hour[58].first, hour[58].errors], [10, 2, null, 0]);
  assert.deepEqual([hour[59].tokens, hour[59].active, hour[59].first, hour[59].errors], [20, 3, 1.5, 2]);
  assert.deepEqual(found.errors(), [{ code: "overloaded", model: "m", count: 2 }]);
  assert.deepEqual(
    found.by("model").map(({ name, errors, first: median }) => [name, errors, median]),
    [["m", 2, 1.5]],
  );
  found.expire((NOON + 62 * 60) * 1000);
  assert.equal(found.totals((NOON + 62 * 60) * 1000).errors, 2);
  found.expire((NOON + 64 * 60) * 1000);
  assert.equal(found.totals((NOON + 64 * 60) * 1000).errors, 0);
});

test("a provider has the figures of its models, and those that some process does not ask", () => {
  const found = figures();
  const ended = ["runs_total", ["failed", "openai:a", "x"], 3, []];
  const failed = ["run_errors_total", ["overloaded", "openai:b", "x"], 2, []];
  const later = ["run_errors_total", ["rate_limited", "openai:b", "x"], 1, []];
  const other = ["runs_total", ["completed", "xai:a", "x"], 1, []];
  const minutes = [
    { at: NOON, seconds: 60, series: [ended, failed, other, ["runs_active", [], 2, []]] },
    { at: NOON + 60, seconds: 60, series: [later] },
  ];
  const breakers = [
    { model: "openai:b", state: "open", setting: "automatic", failures: 5, error: "overloaded" },
    { model: "openai:a", state: "closed", setting: "automatic", failures: 0, error: "" },
  ];
  found.apply(report("one", NOON, [], { minutes, breakers }), 0);
  found.apply(report("two", NOON, [], { breakers: [] }), 0);
  found.apply(report("of a version before", NOON), 0);
  assert.deepEqual(
    found.providers().map(({ name, ended, errors, failure, notAsked }) => ({ name, ended, errors, failure, notAsked })),
    [
      {
        name: "openai",
        ended: 3,
        errors: 3,
        failure: { at: NOON + 60, code: "rate_limited" },
        notAsked: ["openai:b"],
      },
      { name: "xai", ended: 1, errors: 0, failure: null, notAsked: [] },
    ],
  );
});

test("a breaker is that of all processes, also of a model that nobody has asked", () => {
  const found = figures();
  const breaker = (state, setting, failures, error) => ({ model: "openai:b", state, setting, failures, error });
  const asked = ["runs_total", ["completed", "openai:a", "x"], 0, []];
  const others = ["demo:tour", "other"].map((model) => ["runs_total", ["completed", model, "x"], 1, []]);
  found.apply(report("one", NOON, [asked, ...others], { breakers: [breaker("half_open", "automatic", 5, "")] }), 0);
  found.apply(report("two", NOON, [], { breakers: [breaker("closed", "automatic", 1, "overloaded")] }), 0);
  const shared = { open: 0, all: 2, setting: "automatic" };
  assert.deepEqual(found.breakers(), [
    { ...shared, model: "openai:a", halfOpen: 0, failures: 0, error: "" },
    { ...shared, model: "openai:b", halfOpen: 1, failures: 5, error: "overloaded" },
  ]);
  found.apply(report("two", NOON + 1, [], { breakers: [breaker("open", "open", 1, "overloaded")] }), 1000);
  assert.deepEqual([found.breakers()[1].open, found.breakers()[1].setting], [1, "open"]);
});

test("a quantile lies within its bucket", () => {
  assert.equal(quantile([1, 2, 4], [0, 0, 0, 0], 0.5), null);
  assert.equal(quantile([1, 2, 4], [4, 0, 0, 0], 0.5), 0.5);
  assert.equal(quantile([1, 2, 4], [1, 1, 2, 0], 0.75), 3);
  assert.equal(quantile([1, 2, 4], [0, 0, 0, 9], 0.5), 4, "above all buckets");
});

test("a line is broken where nothing is known", () => {
  assert.deepEqual(stretches([null, 1, 2, null, 0]), [
    [
      [1, 1],
      [2, 2],
    ],
    [[4, 0]],
  ]);
  assert.deepEqual(stretches([null]), []);
});
