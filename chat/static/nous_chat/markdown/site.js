// What the site lets an answer reach: addresses of links, and the hosts of pictures. Set once, by nous-chat.js, from the
// element's attributes.

const LINKS = new Set(["https:", "http:", "mailto:"]);

export const site = {
  images: new Set(), // hosts, with their port if they have one
  diagram: null, // URL of the page that draws diagrams
};

/** @param {string} href what a model wrote  @returns {URL|null} null if it must not be a link */
export function addressOf(href) {
  const url = URL.canParse(href) ? new URL(href) : null;
  return url && LINKS.has(url.protocol) && !url.username && !url.password ? url : null;
}

/** May this be loaded as a picture? @param {URL} url */
export function isPicture(url) {
  return url.protocol.startsWith("http") && site.images.has(url.host);
}
