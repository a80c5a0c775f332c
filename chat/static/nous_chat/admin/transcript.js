// The transcript in the admin: draws answers as the chat does, and asks for what is new while the page is open. Without
// it, the page shows the texts as they are written. Loaded by admin/nous_chat/conversation/transcript.html.

import { setLanguage } from "../i18n/strings.js";
import { MarkdownView } from "../markdown/view.js";

const ACTIVE = 1000; // ms between two questions while an answer is made
const IDLE = 5000;

const live = /** @type {HTMLElement|null} */ (document.querySelector(".nous-live"));

/** Draws the texts of answers that are not drawn yet. @param {ParentNode} root */
function draw(root) {
  for (const element of root.querySelectorAll("[data-markdown]")) {
    const text = element.textContent ?? "";
    const active = element.closest("[data-active]") !== null;
    element.removeAttribute("data-markdown");
    new MarkdownView(/** @type {HTMLElement} */ (element)).set(text, active);
  }
}

/** The number of the first message that may change. @param {HTMLElement} list */
function first(list) {
  const articles = [...list.querySelectorAll("article")];
  const active = articles.find((article) => article.hasAttribute("data-active"));
  const last = Number(articles.at(-1)?.dataset.seq ?? 0);
  return active ? Number(active.dataset.seq) : last + 1;
}

/** Puts what the server sent in the place of what is shown. @param {HTMLElement} list  @param {string} html */
function update(list, html) {
  const sent = new DOMParser().parseFromString(html, "text/html").body;
  const atEnd = innerHeight + scrollY >= document.documentElement.scrollHeight - 40;
  const status = list.querySelector(".nous-status");
  for (const article of sent.querySelectorAll("article")) {
    draw(article.parentElement ?? sent);
    const shown = document.getElementById(article.id);
    if (!shown) {
      list.insertBefore(article, status);
      list.querySelector("[data-empty]")?.remove();
      continue;
    }
    const open = [...shown.querySelectorAll("details")].map((each) => each.open);
    [...article.querySelectorAll("details")].forEach((each, number) => {
      each.open = open[number] ?? false;
    });
    shown.replaceWith(article);
  }
  const next = sent.querySelector(".nous-status");
  if (next && status && next.innerHTML !== status.innerHTML && !status.contains(document.activeElement))
    status.replaceWith(next);
  if (atEnd) scrollTo(0, document.documentElement.scrollHeight);
}

/** @param {HTMLElement} list  @param {string} url */
async function follow(list, url) {
  for (;;) {
    const active = list.querySelector(".nous-status")?.getAttribute("data-active");
    await new Promise((resolve) => setTimeout(resolve, active ? ACTIVE : IDLE));
    if (document.hidden) continue;
    try {
      const response = await fetch(`${url}?from=${first(list)}`, { redirect: "error" });
      if (response.status === 403 || response.status === 404) return; // the page has to be loaded again
      if (response.ok) update(list, await response.text());
    } catch {
      // Away for the moment. It is asked again.
    }
  }
}

setLanguage(JSON.parse(document.getElementById("nous-words")?.textContent ?? "null"));
document.documentElement.classList.add("nous-scripted");
draw(document);
if (live?.dataset.url) {
  if (!location.search) scrollTo(0, document.documentElement.scrollHeight);
  follow(live, live.dataset.url);
}
