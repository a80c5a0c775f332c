// Runs inside the frame of web-page.js: shows an HTML document in a frame of its own, which inherits the policy of
// views/preview.py. A classic script, because the frame has an opaque origin.

// What would look up or open an address by itself. Policies say nothing about it, or browsers do not ask them.
const REACHING = "link, base, meta[http-equiv]";

addEventListener("message", ({ source, data: { html, scripts } }) => {
  if (source !== parent) return;
  const page = new DOMParser().parseFromString(String(html), "text/html");
  for (const element of page.querySelectorAll(REACHING)) element.remove();
  const frame = document.createElement("iframe");
  frame.setAttribute("sandbox", scripts === true ? "allow-scripts" : "");
  frame.setAttribute("referrerpolicy", "no-referrer");
  frame.setAttribute("style", "position: fixed; inset: 0; inline-size: 100%; block-size: 100%; border: 0");
  frame.srcdoc = `<!doctype html>${page.documentElement.outerHTML}`;
  document.body.replaceChildren(frame);
});
