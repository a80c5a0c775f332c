// What the site lets answers link to and load. nous-chat.js sets it once from the element's attributes.

const PROTOCOLS = new Set(["https:", "http:", "mailto:"]);

export const site = {
  /** Hosts of images, with their port if they have one. */
  images: /** @type {Set<string>} */ (new Set()),
  /** URL of the page that draws diagrams. */
  diagram: /** @type {string|null} */ (null),
  /** URL of the page that shows HTML documents, and of the styles of documents. */
  preview: /** @type {string|null} */ (null),
  documentStyles: /** @type {string|null} */ (null),
};

/** @param {string} href from an answer  @returns {URL|null} null if it must not be a link */
export function safeUrl(href) {
  const url = URL.canParse(href) ? new URL(href) : null;
  return url && PROTOCOLS.has(url.protocol) && !url.username && !url.password ? url : null;
}

/** @param {URL} url */
export function isAllowedImage(url) {
  return url.protocol.startsWith("http") && site.images.has(url.host);
}
