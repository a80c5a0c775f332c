// Work that may wait: done a little at a time between frames, so that none of it is felt. Called by code.js, formula.js,
// view.js, and for whole messages by message.js.

const SLICE = 6; // ms
const AT_LATEST = 200; // ms

const jobs = [];
let scheduled = false;
const turns = new WeakMap(); // by element, its newest settling

/** @param {() => boolean|void} job does a small piece of its work; true if there is more. Never throws */
export function later(job) {
  jobs.push(job);
  schedule();
}

/**
 * What is finished is neither laid out nor painted while it is out of sight (`data-past` in the style sheets): it keeps
 * the size that it had last, which is taken in a frame before.
 * @param {Element} element
 */
export function settle(element) {
  const turn = {};
  turns.set(element, turn); // one that waits still would come before the frame
  element.removeAttribute("data-past");
  requestAnimationFrame(() => later(() => void (turns.get(element) === turn && element.setAttribute("data-past", ""))));
}

/** Something in what may be settled already, or be about to be, has another size now. @param {Element} element */
export function resettle(element) {
  for (let each = element; each; each = each.parentElement) if (turns.has(each)) settle(each);
}

function schedule() {
  if (scheduled || jobs.length === 0) return;
  scheduled = true;
  if (globalThis.requestIdleCallback) requestIdleCallback(work, { timeout: AT_LATEST });
  else setTimeout(work, 30);
}

function work() {
  const end = performance.now() + SLICE;
  scheduled = false;
  while (jobs.length > 0 && performance.now() < end) if (!jobs[0]()) jobs.shift();
  schedule();
}
