import assert from "node:assert/strict";
import { test } from "node:test";

import { mayDecide, mayDelete, mayPost, mayStop } from "../../../chat/static/nous_chat/protocol/permissions.js";

const you = (role, staff = false) => ({ id: "1", name: "Ada", role, staff });
const message = (author, role = "user") => ({ id: "m", role, author: { id: author, name: "" } });
const run = (launcher) => ({ launched_by: { id: launcher, name: "" } });

test("everybody but a viewer may post", () => {
  assert.deepEqual([null, you("viewer"), you("member"), you("owner")].map(mayPost), [false, false, true, true]);
});

test("a message is deleted by its author, an owner, or staff", () => {
  assert.equal(mayDelete(message("1"), you("member")), true);
  assert.equal(mayDelete(message("2"), you("member")), false);
  assert.equal(mayDelete(message("1"), you("viewer")), false, "an author who is a viewer now");
  assert.equal(mayDelete(message("2"), you("owner")), true);
  assert.equal(mayDelete(message("2"), you("viewer", true)), true, "staff");
  assert.equal(mayDelete(message("2", "system"), you("owner")), false);
});

test("a run is stopped by its launcher, an owner, or staff", () => {
  assert.equal(mayStop(run("1"), you("viewer")), true);
  assert.equal(mayStop(run("2"), you("member")), false);
  assert.equal(mayStop(run("2"), you("owner")), true);
  assert.equal(mayStop(run("2"), you("viewer", true)), true);
  assert.equal(mayStop({}, you("member")), true, "the launcher is not known yet");
  assert.equal(mayStop({}, you("viewer")), false);
});

test("tool calls are decided by the launcher who may still post, an owner, or staff", () => {
  assert.equal(mayDecide(run("1"), you("viewer")), false);
  assert.equal(mayDecide(run("1"), you("member")), true);
  assert.equal(mayDecide(run("2"), you("viewer", true)), true);
});
