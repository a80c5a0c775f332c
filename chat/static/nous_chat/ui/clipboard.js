// Copies a text, over plain HTTP too, where browsers have no `navigator.clipboard`.

/** Rejects if the browser does not allow it. @param {string} text */
export async function copyText(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
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
