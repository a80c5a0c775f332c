import assert from "node:assert/strict";
import { after, beforeEach, test } from "node:test";

import { Session } from "../../../chat/static/nous_chat/documents/session.js";
import { ChangeSet, EditorState, Text } from "../../../chat/static/nous_chat/vendor/codemirror/codemirror.js";

const ID = "d0000000-0000-4000-8000-000000000000";
const { setTimeout: realTimeout, clearTimeout: realClear } = globalThis;
let now = 0;
/** @type {Map<number, {at: number, work: () => void, storage: object}>} */
const timers = new Map();
let lastTimer = 0;

beforeEach(() => {
  now = 0;
  timers.clear();
  performance.now = () => now;
  globalThis.setTimeout = (work, ms) => {
    timers.set(++lastTimer, { at: now + ms, work, storage: sessionStorage });
    return lastTimer;
  };
  globalThis.clearTimeout = (timer) => timers.delete(timer);
  use(new Map());
});
after(() => Object.assign(globalThis, { setTimeout: realTimeout, clearTimeout: realClear }));

/** Each tab of a browser has a storage of its own. */
function use(items) {
  globalThis.sessionStorage = {
    items,
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, value) => items.set(key, value),
    removeItem: (key) => items.delete(key),
  };
}

/** Timers run with the storage of the tab that has set them. */
function wait(ms) {
  const storage = globalThis.sessionStorage;
  now += ms;
  for (const [timer, { at, work, storage: own }] of [...timers]) {
    if (at > now || !timers.delete(timer)) continue;
    globalThis.sessionStorage = own;
    work();
  }
  globalThis.sessionStorage = storage;
}

/** The log, by the server's rules. Frames wait in the inboxes of the clients. */
class Server {
  text = Text.of([""]);
  log = [];
  clients = [];
  /** How many updates it stores together. */
  atOnce = 1;
  /** Over how many updates it maps a change. */
  remembers = 5;
  #unpublished = [];

  since(version) {
    return this.log.slice(version);
  }

  handle(client, command) {
    const { ref } = command;
    if (command.type === "document.sync") {
      const updates = this.since(command.version).slice(0, 5);
      const more = command.version + updates.length < this.log.length;
      return client.inbox.push({ type: "document.updates", document: ID, updates, more, ref });
    }
    const { client_id, version } = command;
    if (this.log.some((update) => update.client_id === client_id)) return client.inbox.push({ type: "ack", ref });
    const later = this.since(version);
    if (later.length && !(command.rebase && later.length <= this.remembers)) {
      return client.inbox.push({ type: "error", ref, code: "stale", retry_after: null });
    }
    let changes = ChangeSet.fromJSON(command.changes);
    for (const each of later) changes = changes.map(ChangeSet.fromJSON(each.changes));
    const update = { version: this.log.length + 1, changes: changes.toJSON(), author: null, run: null, client_id };
    this.text = changes.apply(this.text);
    this.log.push(update);
    client.inbox.push({ type: "ack", ref });
    this.#unpublished.push(update);
    if (this.#unpublished.length >= this.atOnce) this.publish();
  }

  publish() {
    const updates = this.#unpublished;
    this.#unpublished = [];
    const frame =
      updates.length === 1
        ? { type: "document.changed", document: ID, ...updates[0] }
        : { type: "document.updates", document: ID, updates, more: false, writing: null, ref: null };
    for (const each of this.clients) each.inbox.push(frame);
  }
}

class Client {
  inbox = [];
  outbox = [];
  live = true;
  refusals = [];

  constructor(server, user = "1") {
    this.server = server;
    this.user = user;
    this.start();
    server.clients.push(this);
  }

  start() {
    this.session?.stop();
    this.broken = false;
    const document = { id: ID, version: this.server.log.length };
    this.session = new Session(document, this.user, {
      send: (command) => {
        if (this.live) this.outbox.push(JSON.parse(JSON.stringify(command)));
        return this.live;
      },
      refused: (refusal) => this.refusals.push(refusal),
      broken: () => (this.broken = true),
    });
    const editor = {
      state: EditorState.create({ doc: this.server.text, extensions: this.session.extension }),
      dispatch(change) {
        const transaction = "startState" in change ? change : editor.state.update(change);
        editor.state = transaction.state;
      },
    };
    this.editor = editor;
    this.session.connected(this.live);
    return this.session.start(editor, async (since) => this.server.since(since));
  }

  type(from, insert, to = from) {
    const transaction = this.editor.state.update({ changes: { from, to, insert } });
    this.editor.dispatch(transaction);
    this.session.changed(transaction.changes);
  }

  /** What was sent reaches the server, and what it says comes back. */
  flush() {
    while (this.outbox.length) this.server.handle(this, this.outbox.shift());
    while (this.inbox.length) this.hear(this.inbox.shift());
  }

  hear(event) {
    if (event.type === "document.changed") this.session.receive(event);
    else if (event.type === "document.updates") this.session.receiveUpdates(event);
    else this.session.handleReply(event);
  }

  drop() {
    this.live = false;
    this.inbox = [];
    this.outbox = [];
    this.session.connected(false);
  }

  return() {
    this.live = true;
    this.session.connected(true);
  }

  get text() {
    return this.editor.state.doc.toString();
  }
}

function settle(server) {
  for (let round = 0; round < 30; round++) {
    wait(1000);
    for (const client of server.clients) {
      if (client.items) use(client.items);
      client.session.tick();
      client.flush();
    }
  }
}

test("what one types, the other reads", () => {
  const server = new Server();
  const [ada, bob] = [new Client(server), new Client(server)];
  settle(server);
  ada.type(0, "Hello");
  settle(server);
  assert.equal(bob.text, "Hello");
  assert.ok(ada.session.saved);
});

test("what is typed while a push is on its way is one more push", () => {
  const server = new Server();
  const ada = new Client(server);
  settle(server);
  for (const letter of "abcdef") ada.type(ada.editor.state.doc.length, letter);
  assert.equal(ada.outbox.length, 1);
  settle(server);
  assert.equal(server.text.toString(), "abcdef");
  assert.equal(server.log.length, 2);
});

test("two who type at the same place keep both texts, in one order", () => {
  const server = new Server();
  const [ada, bob] = [new Client(server), new Client(server)];
  settle(server);
  ada.type(0, "A");
  bob.type(0, "B");
  ada.flush();
  settle(server);
  assert.equal(ada.text, bob.text);
  assert.deepEqual([...ada.text].sort(), ["A", "B"]);
});

test("a change that the server has mapped in another way than the editor is corrected", () => {
  const server = new Server();
  const [ada, bob] = [new Client(server), new Client(server, "2")];
  ada.type(0, "abcdef");
  settle(server);
  ada.type(0, "-"); // on its way, so that the next two changes are one push
  ada.type(6, "A", 7);
  ada.type(6, "B");
  server.handle(ada, ada.outbox.shift());
  while (ada.inbox.length) ada.hear(ada.inbox.shift());
  while (bob.inbox.length) bob.hear(bob.inbox.shift());
  wait(100);
  bob.type(6, "U", 7); // in the place of what ada has replaced
  bob.flush();
  ada.type(8, "Z"); // after what is in dispute
  while (ada.inbox.length) ada.hear(ada.inbox.shift());
  assert.equal(ada.text, "-abcdeUBAZ");
  settle(server);
  assert.equal(server.text.toString(), "-abcdeBUAZ");
  assert.deepEqual([ada.text, bob.text], ["-abcdeBUAZ", "-abcdeBUAZ"]);
});

test("what was typed after a change that the server has mapped otherwise deletes nobody else's text after a reload", async () => {
  const server = new Server();
  const [ada, bob] = [new Client(server), new Client(server, "2")];
  ada.type(0, "abcdef");
  settle(server);
  ada.type(0, "-");
  ada.type(6, "A", 7);
  ada.type(6, "B");
  server.handle(ada, ada.outbox.shift());
  while (ada.inbox.length) ada.hear(ada.inbox.shift());
  while (bob.inbox.length) bob.hear(bob.inbox.shift());
  wait(100);
  const push = ada.outbox.shift();
  bob.type(6, "U", 7);
  bob.flush();
  while (ada.inbox.length) ada.hear(ada.inbox.shift()); // maps what it has pushed, and keeps it so
  assert.equal(ada.text, "-abcdeUBA");
  ada.type(7, "", 8);
  server.handle(ada, push);
  ada.drop();
  await ada.start();
  ada.return();
  settle(server);
  assert.equal(server.text.toString(), "-abcdeBUA");
  assert.deepEqual([ada.text, bob.text], ["-abcdeBUA", "-abcdeBUA"]);
});

test("a push whose answer was lost is in the text once", () => {
  const server = new Server();
  const ada = new Client(server);
  settle(server);
  ada.type(0, "once");
  server.handle(ada, ada.outbox.shift());
  ada.drop();
  ada.type(4, ", twice");
  ada.return();
  settle(server);
  assert.equal(server.text.toString(), "once, twice");
  assert.equal(ada.text, "once, twice");
});

test("what was typed offline survives a reload and is mapped over what others changed", async () => {
  const server = new Server();
  const [ada, bob] = [new Client(server), new Client(server, "2")];
  bob.type(0, "one\ntwo");
  settle(server);
  ada.drop();
  ada.type(7, " and three");
  bob.type(0, "zero\n");
  settle(server);
  await ada.start();
  assert.equal(ada.text, "zero\none\ntwo and three");
  ada.return();
  settle(server);
  assert.equal(bob.text, "zero\none\ntwo and three");
  assert.equal(sessionStorage.items.size, 0);
});

test("a push that the server has, but did not confirm before a reload, is not repeated", async () => {
  const server = new Server();
  const ada = new Client(server);
  settle(server);
  ada.type(0, "kept");
  ada.type(4, " too");
  server.handle(ada, ada.outbox.shift());
  ada.drop();
  await ada.start();
  ada.return();
  settle(server);
  assert.equal(ada.text, "kept too");
  assert.equal(server.text.toString(), "kept too");
});

test("another user of the same browser gets nothing of it", async () => {
  const server = new Server();
  const ada = new Client(server);
  ada.drop();
  ada.type(0, "secret");
  ada.user = "2";
  await ada.start();
  assert.equal(ada.text, "");
});

test("a refused change stays in the text and is tried again when the user changes it", () => {
  const server = new Server();
  const ada = new Client(server);
  settle(server);
  ada.type(0, "too long");
  const { ref } = ada.outbox.shift();
  ada.hear({ type: "error", ref, code: "too_large", message: "Too large.", retry_after: null });
  assert.equal(ada.refusals.at(-1).code, "too_large");
  assert.equal(ada.text, "too long");
  wait(1000);
  assert.equal(ada.outbox.length, 0);
  ada.type(0, "", 4);
  settle(server);
  assert.equal(server.text.toString(), "long");
  assert.equal(ada.refusals.at(-1), null);
});

test("a log that does not fit is not applied", () => {
  const server = new Server();
  const ada = new Client(server);
  settle(server);
  ada.hear({ type: "document.changed", document: ID, version: 1, changes: [500, [0, "x"]], client_id: null });
  assert.equal(ada.text, "");
  assert.ok(ada.broken);
});

test("whatever is lost, repeated, or cut off, all end with the text of the log", async () => {
  for (let seed = 1; seed <= 150; seed++) {
    let state = seed;
    const random = (below) => {
      state = (state * 1103515245 + 12345) % 2147483648;
      return Math.floor((state / 2147483648) * below);
    };
    const server = new Server();
    const clients = ["1", "2", "3"].map((user) => new Client(server, user));
    for (const client of clients) client.items = new Map();
    let typed = 0;
    for (let step = 0; step < 120; step++) {
      const client = clients[random(clients.length)];
      const { length } = client.editor.state.doc;
      use(client.items);
      server.atOnce = 1 + random(3);
      switch (random(9)) {
        case 0:
          if (client.live) client.drop();
          else client.return();
          break;
        case 1:
          client.inbox.splice(random(client.inbox.length + 1), 1); // a lost frame
          break;
        case 2:
          if (client.inbox.length) client.hear({ ...client.inbox[0] }); // and a repeated one
          break;
        case 3:
          if (random(4) === 0) await client.start();
          break;
        case 4:
        case 5:
          client.flush();
          break;
        case 6:
          wait(random(3000));
          client.session.tick();
          break;
        default: {
          const from = random(length + 1);
          client.type(from, `${typed++}🙂\n`, Math.min(length, from + random(3)));
        }
      }
    }
    for (const client of clients) if (!client.live) client.return();
    server.atOnce = 1;
    settle(server);
    for (const client of clients) {
      assert.equal(client.broken, false, `seed ${seed}`);
      assert.equal(client.text, server.text.toString(), `seed ${seed}`);
      assert.ok(client.session.saved, `seed ${seed}`);
    }
  }
});
