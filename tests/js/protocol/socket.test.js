import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";

import { setCatalogue } from "../../../chat/static/nous_chat/i18n/gettext.js";
import { Socket } from "../../../chat/static/nous_chat/protocol/socket.js";

let opened, states, events, socket;

class FakeWebSocket {
  sent = [];
  constructor(url) {
    this.url = String(url);
    opened.push(this);
  }
  send(text) {
    this.sent.push(JSON.parse(text));
  }
  close() {
    this.closed = true;
  }
  hear(event) {
    this.onmessage({ data: JSON.stringify(event) });
  }
  end(code) {
    this.onclose({ code });
  }
}

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "Date"] });
  [opened, states, events] = [[], [], []];
  Object.assign(globalThis, {
    WebSocket: FakeWebSocket,
    location: { href: "https://example.org/chat/" },
    addEventListener() {},
    removeEventListener() {},
    document: { addEventListener() {}, removeEventListener() {} },
  });
  Object.defineProperty(globalThis, "navigator", { value: { onLine: true }, configurable: true });
  socket = new Socket("/ws/chat/c/", {
    onEvent: (event) => events.push(event.type),
    onConnection: ({ name }) => states.push(name),
  });
  socket.open();
});
const last = () => opened.at(-1);
const live = () => last().hear({ type: "snapshot" });

test("the socket is live from the first event, with the page's protocol and language", () => {
  assert.equal(last().url, "wss://example.org/ws/chat/c/?language=en");
  assert.equal(socket.send({ type: "ping" }), false);
  live();
  assert.equal(socket.send({ type: "typing", on: true }), true);
  assert.deepEqual(last().sent, [{ type: "typing", on: true }]);
  assert.deepEqual([states, events], [["connecting", "live"], ["snapshot"]]);
  setCatalogue({ language: "de", texts: {}, plurals: "" });
  new Socket("/ws/chat/", { onConnection() {} }).open();
  assert.equal(last().url, "wss://example.org/ws/chat/?language=de");
  setCatalogue(null);
});

test("a lone surrogate is replaced, because the server would refuse it", () => {
  live();
  socket.send({ type: "message.send", text: "a\ud83d", attachments: ["b\udc00"], reply_to: null, on: true, ref: "😀" });
  const sent = { type: "message.send", text: "a�", attachments: ["b�"], reply_to: null, on: true, ref: "😀" };
  assert.deepEqual(last().sent, [sent]);
});

test("the retry delay doubles up to 30 seconds and is reset once the connection is steady", () => {
  live();
  const waits = [];
  for (let round = 0; round < 9; round += 1) {
    last().end(1006);
    waits.push(socket.connection.retryAt - Date.now());
    mock.timers.tick(waits.at(-1));
    assert.equal(opened.length, round + 2);
  }
  waits.forEach((wait, round) => {
    const longest = Math.min(30_000, 500 * 2 ** round);
    assert.ok(wait >= longest / 2 && wait <= longest, `${wait} in round ${round}`);
  });
  live();
  mock.timers.tick(5_000);
  last().end(1006);
  assert.ok(socket.connection.retryAt - Date.now() <= 500);
});

test("a connection that ends after its first snapshot is another failure", () => {
  const waits = [];
  for (let round = 0; round < 5; round += 1) {
    live();
    last().end(1006);
    waits.push(socket.connection.retryAt - Date.now());
    mock.timers.tick(waits.at(-1));
  }
  assert.ok(waits[4] >= 4000, `${waits}`);
});

test("without a connection for 7 seconds the socket is stuck, also while a handshake hangs", () => {
  mock.timers.tick(6_999);
  assert.equal(socket.connection.stuck, false);
  mock.timers.tick(1);
  assert.deepEqual([socket.connection.name, socket.connection.stuck], ["connecting", true]);
  mock.timers.tick(13_000);
  assert.equal(socket.connection.name, "reconnecting", "a handshake that hangs is given up");
  socket.reconnect();
  live();
  assert.equal(socket.connection.stuck, false);
  last().end(1006);
  mock.timers.tick(1_000);
  live();
  mock.timers.tick(60_000);
  assert.equal(socket.connection.stuck, false);
});

test("a socket can be told that all attempts are useless", () => {
  socket.end(4401);
  assert.deepEqual([socket.connection.name, socket.connection.code], ["closed", 4401]);
  mock.timers.tick(3_600_000);
  assert.deepEqual([opened.length, socket.connection.stuck], [1, false]);
});

test("a final close code ends all attempts", () => {
  for (const code of [4401, 4403, 4404]) {
    live();
    last().end(code);
    assert.deepEqual([socket.connection.name, socket.connection.code], ["closed", code]);
    mock.timers.tick(3_600_000);
    assert.equal(opened.length, 1);
    socket.close();
    opened.length = 0;
    socket.open();
  }
});

test("after a restart the socket waits as long as the server asked", () => {
  for (const code of [1012, 4012]) {
    for (const seconds of [4, null]) {
      live();
      if (seconds) last().hear({ type: "closing", reason: "", reconnect_in: seconds });
      last().end(code);
      const wait = socket.connection.retryAt - Date.now();
      const asked = (seconds ?? 1) * 1000;
      assert.ok(wait >= asked && wait <= asked + 500, `${wait} after ${code}`);
      assert.equal(socket.connection.restarting, true);
      socket.reconnect();
    }
  }
});

test("reconnect() skips the wait", () => {
  socket.reconnect();
  assert.equal(opened.length, 1);
  last().end(1006);
  socket.reconnect();
  assert.equal(opened.length, 2);
  mock.timers.tick(60_000);
  assert.equal(opened.length, 2, "the timer of the first wait is gone");
});

test("a missing pong closes a dead connection", () => {
  live();
  mock.timers.tick(25_000);
  assert.deepEqual(last().sent, [{ type: "ping" }]);
  last().hear({ type: "pong" });
  mock.timers.tick(25_000);
  mock.timers.tick(8_000);
  assert.equal(socket.connection.name, "reconnecting");
  assert.deepEqual(events, ["snapshot"], "a pong is nobody else's matter");
});

test("the connection is offline when the browser is", () => {
  live();
  navigator.onLine = false;
  last().end(1006);
  assert.equal(socket.connection.name, "offline");
});
