// Inside the frame that diagram.js opens: a diagram's source comes in, an SVG goes out. A classic script: the frame's
// origin is opaque, and modules would need CORS headers that a site's static files may not have.

"use strict";

addEventListener("message", async ({ source: opener, data: { id, source, dark } }) => {
  if (opener !== parent) return;
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
    parent.postMessage({ id, error: String(error?.message ?? error) }, "*");
  }
});
