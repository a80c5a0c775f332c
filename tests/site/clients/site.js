// What the tests of clients need besides their client: the site, its user, and the provider behind it.

import assert from "node:assert/strict";

/** SECOND_SITE is another process of the site, or the same. */
export const { SITE, SECOND_SITE, TOKEN, OTHER_TOKEN, UPSTREAM } = process.env;
export const headers = { Authorization: `Bearer ${TOKEN}` };

/** @param {string} path */
async function ask(path) {
  return (await fetch(`${UPSTREAM}${path}`)).json();
}

export const upstream = {
  stats: () => ask("/stats"),
  /** The messages that the model was sent, without the agent's own instructions. */
  told: async () =>
    (await ask("/last")).body.messages
      .filter(({ role }) => role !== "system")
      .map(({ role, content }) => [role, content]),
  release: () => until(() => ask("/release"), "an answer that flows"),
  /** The stats when no stream is open any more. */
  ended: async () => {
    await until(async () => (await upstream.stats()).active === 0, "the end of all streams");
    return upstream.stats();
  },
};

/** @param {() => any} condition */
export async function until(condition, what) {
  const begun = Date.now();
  while (!(await condition())) {
    assert(Date.now() - begun < 30_000, `waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** The text that a model says which says `n` words. */
export const words = (n) => Array.from({ length: n }, (_, i) => `w${i}${i % 10 === 9 ? "🌊" : ""} `).join("");
