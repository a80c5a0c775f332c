// Work for idle time, done in small steps between frames so that the page stays responsive. Used by the Markdown views,
// and by message.js for whole messages.

const SLICE = 6; // ms
const LATEST = 200; // ms

/** @type {(() => boolean|void)[]} */
const jobs = [];
let scheduled = false;
/** @type {WeakMap<Element, object>} the newest call of settle() for each element */
const newest = new WeakMap();

/** @param {() => boolean|void} job does a small step; returns true if more is left. Must not throw */
export function whenIdle(job) {
  jobs.push(job);
  schedule();
}

/**
 * Marks a finished element with `data-settled`: the style sheets then skip its layout while it is out of sight. The
 * browser remembers its last size, so it is laid out for a frame first.
 * @param {Element} element
 */
export function settle(element) {
  const call = {};
  newest.set(element, call); // an earlier call that is still waiting would come before the frame
  element.removeAttribute("data-settled");
  requestAnimationFrame(() =>
    whenIdle(() => {
      if (newest.get(element) === call) element.setAttribute("data-settled", "");
    }),
  );
}

/** Measures again what may be settled already, after an element's size has changed. @param {Element} element */
export function resettle(element) {
  for (let each = /** @type {Element|null} */ (element); each; each = each.parentElement)
    if (newest.has(each)) settle(each);
}

function schedule() {
  if (scheduled || jobs.length === 0) return;
  scheduled = true;
  if ("requestIdleCallback" in globalThis) requestIdleCallback(work, { timeout: LATEST });
  else setTimeout(work, 30);
}

function work() {
  const end = performance.now() + SLICE;
  scheduled = false;
  while (jobs.length > 0 && performance.now() < end) if (!jobs[0]()) jobs.shift();
  schedule();
}
