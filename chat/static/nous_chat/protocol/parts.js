// The parts of an answer (docs/protocol.md, "Parts"): in which order text, thinking, and tool calls came. Pure.

/** @import { Call, Message, Part } from "./types.d.ts" */

/**
 * Returns the parts with what came next. In an answer that continues another one, thinking after text goes in front of
 * that text: it must not divide a word or a code block that was cut off in the middle.
 * @param {Part[]} parts  @param {Part} part  @param {boolean} [continues]  @returns {Part[]}
 */
export function addPart(parts, part, continues) {
  const inFront = continues && part.type === "thinking" && parts.at(-1)?.type === "text";
  const at = parts.length - (inFront ? 1 : 0);
  const last = parts[at - 1];
  if (part.type === "call" || last?.type !== part.type) return parts.toSpliced(at, 0, part);
  return parts.toSpliced(at - 1, 1, { ...part, length: last.length + part.length });
}

/** The length of a string in characters (code points), as parts count it. @param {string} text */
export const lengthOf = (text) => [...text].length;

/**
 * What to show of a message, in order. The last section of a kind holds all that is left of it. Messages of users have no
 * parts, nor have those of a server that is older than this page. A section keeps its key while the message grows.
 *
 * @typedef {{key: string, type: "text"|"thinking", text: string}|{key: string, type: "call", call: Call}} Section
 * @param {Message} message  @returns {Section[]}
 */
export function sectionsOf({ parts, calls, text, thinking }) {
  const left = { text, thinking };
  const count = { text: 0, thinking: 0 };
  const order = parts.length ? parts : partsOf(thinking, calls);
  const last = new Map(order.map((part) => [part.type, part]));
  const byId = new Map(calls.map((call) => [call.id, call]));
  /** @type {Section[]} */
  const sections = [];
  for (const part of order) {
    const { type } = part;
    if (type === "call") {
      const call = byId.get(part.call);
      if (call) sections.push({ key: call.id, type, call });
      continue;
    }
    const [head, rest] = part === last.get(type) ? [left[type], ""] : split(left[type], part.length);
    left[type] = rest;
    sections.push({ key: `${type} ${count[type]++}`, type, text: head });
  }
  return sections;
}

/** @param {string} thinking  @param {Call[]} calls  @returns {Part[]} */
function partsOf(thinking, calls) {
  /** @type {Part[]} */
  const parts = calls.map(({ id }) => ({ type: "call", call: id }));
  if (thinking) parts.unshift({ type: "thinking", length: 0 });
  return [...parts, { type: "text", length: 0 }];
}

/** @param {string} text  @param {number} length in code points */
function split(text, length) {
  let at = 0;
  for (; length > 0 && at < text.length; length--) at += Number(text.codePointAt(at)) > 0xffff ? 2 : 1;
  return [text.slice(0, at), text.slice(at)];
}
