import assert from "node:assert/strict";
import { test } from "node:test";
import { Acknowledger } from "../../../chat/static/nous_chat/protocol/acknowledge.js";
import { apply, emptyState } from "../../../chat/static/nous_chat/protocol/reducer.js";
import { answer, delta, finished, message, snapshot, started } from "../wire.js";

test("new frames are acknowledged, and ten seconds of silence request the state", () => {
  const page = emptyState();
  const heard = [];
  const acknowledger = new Acknowledger(page, (command) => heard.push(command));
  const tick = (second) => {
    acknowledger.tick(second * 1000);
    return heard.splice(0).map(({ type, seq }) => (seq ? `${type} ${seq}` : type));
  };
  for (const event of [snapshot([message(1)]), started(answer(2, "r"))]) apply(page, event);
  assert.deepEqual(tick(0), []);
  for (const seq of [1, 2, 3]) apply(page, delta("r", seq, "x"));
  assert.deepEqual(tick(1), ["run.ack 3"]);
  assert.deepEqual(tick(2), []);
  assert.deepEqual(tick(11), ["run.sync"]);
  assert.deepEqual(tick(12), []);
  assert.deepEqual(tick(21), ["run.sync"]);
  acknowledger.reset();
  assert.deepEqual(tick(22), ["run.ack 3"], "a new socket is told at once");
  apply(page, finished(answer(2, "r", { text: "xxx" })));
  assert.deepEqual(tick(99), []);
});
