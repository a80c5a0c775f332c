import assert from "node:assert/strict";
import { test } from "node:test";

import { Outbox, uuid } from "../../../chat/static/nous_chat/protocol/outbox.js";

/** A fresh sessionStorage. */
function memory() {
  const items = new Map();
  return (globalThis.sessionStorage = {
    items,
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, value) => items.set(key, value),
    removeItem: (key) => items.delete(key),
  });
}
const draft = (text, fields = {}) => ({ text, reply_to: null, attachments: [], ...fields });
const command = (ref) => ({ type: "message.send", client_id: ref, text: "hi", ref });

test("a message survives a reload until it is settled", () => {
  const storage = memory();
  const before = new Outbox("c");
  before.open("1");
  before.draft = draft("half a sen");
  before.add(command("u"));
  const after = new Outbox("c");
  assert.equal(after.open("1"), true);
  assert.deepEqual(after.messages, [command("u")]);
  assert.deepEqual(after.draft, draft("half a sen"));
  after.settle("u");
  after.draft = draft("");
  assert.equal(storage.items.size, 0, "nothing is left behind");
});

test("a draft without text is kept if it has files or a reply", () => {
  for (const fields of [{ attachments: [{ id: "f" }] }, { reply_to: "m-1" }]) {
    memory();
    const before = new Outbox("c");
    before.open("1");
    before.draft = draft("", fields);
    const after = new Outbox("c");
    after.open("1");
    assert.deepEqual(after.draft, draft("", fields));
  }
});

test("an older outbox of a conversation no longer writes", () => {
  const storage = memory();
  const [before, other] = [new Outbox("c"), new Outbox("d")];
  before.open("1");
  other.open("1");
  before.draft = draft("mine");
  const after = new Outbox("c");
  after.open("1");
  after.draft = draft(""); // it was sent
  before.draft = draft("mine", { attachments: [{ id: "f" }] }); // a file was still on its way
  assert.equal(storage.items.size, 0);
  other.draft = draft("", { attachments: [{ id: "f" }] });
  assert.equal(storage.items.size, 1, "one that was left, and not opened again, keeps it");
});

test("one user's messages are not sent by the next", () => {
  memory();
  const hers = new Outbox("c");
  hers.open("1");
  hers.add(command("u"));
  hers.draft = draft("secret");
  const his = new Outbox("c");
  his.open("2");
  assert.deepEqual([his.commands, his.draft], [[], null]);
});

test("messages from before the user is known are kept", () => {
  memory();
  const box = new Outbox("c");
  box.add(command("u"));
  box.draft = draft("and more");
  box.open("1");
  assert.deepEqual(box.commands, [command("u")]);
  assert.deepEqual(box.draft, draft("and more"));
  assert.equal(box.open("1"), false);
});

test("ids are UUIDs", () => {
  assert.match(uuid(), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.notEqual(uuid(), uuid());
});

test("stops are sent again after reconnecting, but not after a reload", () => {
  memory();
  const box = new Outbox("c");
  box.open("1");
  box.add({ type: "run.stop", run: "r", ref: "stop:r" });
  assert.equal(box.commands.length, 1);
  const after = new Outbox("c");
  after.open("1");
  assert.equal(after.commands.length, 0);
});

test("without storage everything works until a reload", () => {
  globalThis.sessionStorage = null;
  const box = new Outbox("c");
  box.open("1");
  box.add(command("u"));
  assert.equal(box.settle("u").text, "hi");
  assert.equal(box.settle("u"), undefined);
});
