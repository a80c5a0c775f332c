// The history of a document, in the place of its text: the steps in which it was written, what is different between any two
// of them, who wrote which line, and going back to one. Loaded by pane.js when it is opened.

import { strings } from "../i18n/strings.js";
import { attempt } from "../protocol/api.js";
import { el, textButton } from "../ui/dom.js";
import { askForText } from "./ask.js";
import { Authors } from "./authors.js";
import { Comparison } from "./comparison.js";
import { documentStrings as texts } from "./strings.js";

/**
 * @import { Document, DocumentVersion, Event } from "../protocol/types.d.ts"
 *
 * @typedef {object} Options
 * @property {import("../protocol/api.js").Api} api
 * @property {boolean} mayWrite
 * @property {(command: import("../protocol/types.d.ts").DocumentCommand) => void} send
 * @property {(sentence: string) => void} complain
 * @property {() => void} close
 */

const REFRESH_EVERY = 500; // ms; others may write all the time

export class History {
  #document;
  #options;
  /** @type {DocumentVersion[]} newest first */
  #versions = [];
  /** @type {DocumentVersion|null} */
  #chosen = null;
  /** @type {number|null} the version to compare with; null: the one before the step */
  #other = null;
  #list = el("ol", { class: "versions", "aria-label": texts.versions });
  #more = textButton(texts.earlierVersions, () => this.#work(() => this.#load(this.#versions)), { hidden: true });
  #with = el("select", { onchange: () => this.#compare() });
  #tools;
  #stage = el("div", { class: "history-stage" });
  /** @type {Comparison|Authors|null} */
  #shown = null;
  #number = 0;
  #stopped = false;
  /** Resolves when the list is as it was asked for last. @type {Promise<unknown>} */
  #working = Promise.resolve();
  /** @type {ReturnType<typeof setTimeout>|undefined} until the list is fetched again */
  #timer;
  /** @type {"inline"|"split"|"authors"} */
  #view = "inline";
  /** @type {Map<string, HTMLElement>} */
  #views = new Map();

  /** @param {Document} document  @param {Options} options */
  constructor(document, options) {
    this.#document = document;
    this.#options = options;
    for (const view of /** @type {const} */ (["inline", "split", "authors"])) {
      this.#views.set(
        view,
        el("button", { type: "button", onclick: () => this.#switch(view) }, texts.comparisons[view]),
      );
    }
    this.#tools = el(
      "div",
      { class: "history-tools" },
      el("div", { class: "document-modes", role: "group", "aria-label": texts.view }, ...this.#views.values()),
      el("label", {}, texts.compareWith, this.#with),
      ...(options.mayWrite
        ? [textButton(texts.restore, () => this.#restore()), textButton(texts.nameVersion, () => this.#name())]
        : []),
      el("a", { class: "text-button", download: true }, texts.download),
    );
    this.element = el(
      "div",
      { class: "document-history" },
      el(
        "div",
        { class: "history-list" },
        el("h3", {}, texts.history),
        textButton(texts.closeHistory, () => options.close()),
        this.#list,
        this.#more,
      ),
      el("div", { class: "history-main" }, this.#tools, this.#stage),
    );
  }

  async open() {
    await this.#work(() => this.#load([]));
    this.#choose(this.#versions[0] ?? null);
  }

  stop() {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#shown?.stop();
  }

  focus() {
    /** @type {HTMLElement|null} */ (this.#list.querySelector("button"))?.focus();
  }

  /** @param {Event} event about this document */
  receive(event) {
    const changes = event.type === "document.changed" || (event.type === "document.updates" && event.ref === null);
    if (!changes && event.type !== "document.named") return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#work(() => this.#refresh());
    }, REFRESH_EVERY);
  }

  /** One after the other, so that none works with a list that another replaces. @param {() => Promise<void>} work */
  #work(work) {
    this.#working = this.#working.then(work);
    return this.#working;
  }

  /** Fetches the list as far as it was shown. What is compared stays, if it is still a step. */
  async #refresh() {
    await this.#load([], this.#versions.at(-1)?.since);
    const before = this.#chosen;
    const step = this.#versions.find(({ version }) => version === before?.version) ?? this.#versions[0] ?? null;
    if (step?.version !== before?.version || step?.since !== before?.since) return this.#choose(step);
    this.#chosen = step;
    this.#showList();
  }

  /** Fetches one page more than is known, or as many as it takes to the version `oldest`. @param {DocumentVersion[]} known  @param {number} [oldest] */
  async #load(known, oldest = Number.POSITIVE_INFINITY) {
    const versions = [...known];
    for (let next = true; next; ) {
      const until = versions.at(-1)?.since;
      const page = await attempt(
        () =>
          this.#options.api.ofDocument(this.#document.id, `versions/${until === undefined ? "" : `?until=${until}`}`),
        (reason) => this.#complain(reason),
      );
      if (!page || this.#stopped) return;
      versions.push(...page.versions);
      this.#more.hidden = !page.more;
      next = page.more && (versions.at(-1)?.since ?? 0) > oldest;
    }
    this.#versions = versions;
    this.#showList();
  }

  /** @param {string} sentence */
  #complain(sentence) {
    if (!this.#stopped) this.#options.complain(sentence);
  }

  #showList() {
    const focused = this.#list.matches(":focus-within");
    this.#list.replaceChildren(...this.#versions.map((each) => this.#row(each)));
    this.#with.replaceChildren(
      el("option", { value: "" }, texts.versionBefore),
      ...this.#versions.map(({ version, name, created_at }) =>
        el("option", { value: version }, name || texts.versionOf(version, texts.date(created_at))),
      ),
    );
    this.#with.value = this.#other === null ? "" : String(this.#other);
    if (focused) /** @type {HTMLElement|null} */ (this.#list.querySelector("[aria-current] , button"))?.focus();
  }

  /** @param {DocumentVersion} step */
  #row(step) {
    const { version, author, agent, name, created_at } = step;
    const current = version === this.#chosen?.version;
    return el(
      "li",
      {},
      el(
        "button",
        { type: "button", onclick: () => this.#choose(step), "aria-current": current ? "true" : null },
        name ? el("strong", { dir: "auto" }, name) : null,
        el("span", { dir: "auto" }, author?.name ?? agent?.name ?? strings.somebody),
        el("small", {}, texts.versionOf(version, texts.date(created_at))),
      ),
    );
  }

  /** @param {DocumentVersion|null} step */
  #choose(step) {
    this.#chosen = step;
    this.#showList();
    this.#tools.hidden = step === null;
    if (!step) return this.#stage.replaceChildren(el("p", { class: "blank" }, texts.noHistory));
    const link = /** @type {HTMLAnchorElement} */ (this.#tools.querySelector("a"));
    link.href = this.#options.api.download(this.#document.id, step.version);
    this.#show();
  }

  #compare() {
    this.#other = this.#with.value === "" ? null : Number(this.#with.value);
    this.#show();
  }

  /** @param {"inline"|"split"|"authors"} view */
  #switch(view) {
    this.#view = view;
    this.#show();
  }

  async #show() {
    const step = this.#chosen;
    if (!step) return;
    for (const [view, button] of this.#views) button.setAttribute("aria-pressed", String(view === this.#view));
    const number = ++this.#number;
    const { api } = this.#options;
    const { id } = this.#document;
    const other = this.#other ?? step.since;
    const [first, last] = other < step.version ? [other, step.version] : [step.version, other];
    const view = this.#view;
    const loaded = await attempt(
      () =>
        Promise.all([
          api.document(id, view === "authors" ? step.version : first),
          view === "authors" ? api.ofDocument(id, `blame/?version=${step.version}`) : api.document(id, last),
        ]),
      (reason) => this.#complain(reason),
    );
    if (!loaded || this.#stopped || number !== this.#number) return; // outside the page, an editor has no root
    const [old, now] = loaded;
    this.#shown?.stop();
    this.#shown =
      view === "authors" ? new Authors(old.text, now) : new Comparison(this.#document, old.text, now.text, view);
    this.#stage.replaceChildren(this.#shown.element);
    this.#shown.start?.(/** @type {ShadowRoot} */ (this.element.getRootNode()));
  }

  #restore() {
    if (!this.#chosen) return;
    const { version } = this.#chosen;
    this.#options.send({ type: "document.restore", document: this.#document.id, version, ref: this.#ref("restore") });
    this.#options.close();
  }

  async #name() {
    if (!this.#chosen) return;
    const { version, name: value } = this.#chosen;
    const question = {
      title: texts.nameVersion,
      label: texts.versionName,
      value,
      action: strings.save,
      optional: true,
    };
    const root = this.element.closest(".shell") ?? this.element;
    const name = await askForText(root, question);
    if (name === null) return;
    this.#options.send({ type: "document.name", document: this.#document.id, version, name, ref: this.#ref("name") });
  }

  /** @param {string} what */
  #ref(what) {
    return `document:${what}:${this.#document.id}`;
  }
}
