// Copies a text. Over plain HTTP browsers have no `navigator.clipboard`, and they may refuse it; then the older way is
// tried.

/** Rejects if the browser does not allow it. @param {string} text */
export async function copyText(text) {
  try {
    return await navigator.clipboard.writeText(text);
  } catch {}
  const listen = (/** @type {ClipboardEvent} */ event) => {
    event.preventDefault();
    event.stopImmediatePropagation();
    event.clipboardData?.setData("text/plain", text);
  };
  document.addEventListener("copy", listen, { capture: true, once: true });
  const copied = document.execCommand("copy");
  document.removeEventListener("copy", listen, { capture: true });
  if (!copied) throw new Error("copying is not allowed");
}
