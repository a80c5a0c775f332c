// Runs inside the frame of diagram.js: receives a diagram's source, sends an SVG back. A classic script, because the frame
// has an opaque origin, and modules would need CORS headers that a site's static files may not have.

"use strict";

addEventListener("message", async ({ source: opener, data: { id, source, dark } }) => {
  if (opener !== parent) return;
  const { mermaid } = /** @type {any} */ (globalThis);
  mermaid.initialize({
    startOnLoad: false,
    securityLevel: "strict",
    theme: dark ? "dark" : "neutral",
    htmlLabels: false,
    flowchart: { htmlLabels: false },
    fontFamily: "sans-serif",
    maxTextSize: 20_000,
    maxEdges: 500,
    suppressErrorRendering: true,
  });
  try {
    const { svg } = await mermaid.render("diagram", source);
    parent.postMessage({ id, svg }, "*");
  } catch (error) {
    parent.postMessage({ id, error: String(error instanceof Error ? error.message : error) }, "*");
  }
});
