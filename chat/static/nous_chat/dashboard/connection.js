// What the pages of the dashboard have in common: their setup, the socket with its state, and sentences with values.

import { Socket } from "../protocol/socket.js";

const ACKNOWLEDGE_EVERY = 2000; // ms: the server sends only as much as a reader takes

/** @type {Record<string, any> & {socket: string, words: Record<string, string>}} */
export const setup = JSON.parse(document.getElementById("nous-chat-dashboard-setup")?.textContent ?? "{}");
export const { words } = setup;
export const language = document.documentElement.lang;
export const root = /** @type {HTMLElement} */ (document.querySelector(".nous-chat-dashboard"));

/** @param {string} text  @param {Record<string, string>} values */
export const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");

/** Opens the page's socket. @param {(event: any) => void} onEvent */
export function connect(onEvent) {
  const state = /** @type {HTMLElement} */ (root.querySelector(".state"));
  let received = 0;
  const socket = new Socket(setup.socket, {
    onEvent(event) {
      received += 1;
      onEvent(JSON.parse(JSON.stringify(event))); // numbers of many digits come as written: protocol/json.js
    },
    onConnection({ name }) {
      const shown = name === "offline" ? "reconnecting" : name;
      state.dataset.state = shown;
      state.textContent = words[shown];
    },
  });
  setInterval(() => {
    if (received && socket.send({ type: "ping" })) received = 0;
  }, ACKNOWLEDGE_EVERY);
  state.textContent = words.connecting;
  socket.open();
  return socket;
}
