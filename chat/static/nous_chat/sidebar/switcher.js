// The quick switcher (Ctrl+K): a field, and the conversations whose title contains what is typed. Used by nous-chat.js.

import { strings } from "../i18n/strings.js";
import { may } from "../protocol/permissions.js";
import { dialog } from "../ui/dialog.js";
import { el } from "../ui/dom.js";

const MOST_OPTIONS = 50;

export class Switcher {
  #on;
  #field;
  #list;
  /** @type {{element: HTMLElement, run: () => void}[]} */
  #options = [];
  #selected = 0;

  /**
   * @param {object} on
   * @param {() => {id: string, title: string}[]} on.conversations newest first
   * @param {(id: string) => void} on.open
   * @param {() => void} on.create
   */
  constructor(on) {
    this.#on = on;
    this.#field = el("input", {
      type: "text",
      role: "combobox",
      "aria-expanded": "true",
      "aria-controls": "switcher-list",
      "aria-autocomplete": "list",
      "aria-label": strings.switchTo,
      placeholder: strings.switchTo,
      autocomplete: "off",
      dir: "auto",
      oninput: () => this.#update(),
      onkeydown: (event) => this.#key(event),
    });
    this.#list = el("ul", { id: "switcher-list", role: "listbox", "aria-label": strings.conversations });
    this.element = dialog(strings.switchTo, "switcher", this.#field, this.#list);
  }

  show() {
    if (this.element.open) return this.element.close();
    this.#field.value = "";
    this.#update();
    this.element.showModal();
    this.#field.focus();
  }

  #update() {
    const query = this.#field.value.trim().toLocaleLowerCase();
    const titled = this.#on.conversations().map(({ id, title }) => ({ id, title: title || strings.untitled }));
    const found = titled.filter(({ title }) => title.toLocaleLowerCase().includes(query)).slice(0, MOST_OPTIONS);
    const options = [
      ...found.map(({ id, title }) => ({ text: title, run: () => this.#on.open(id) })),
      ...(may.create ? [{ text: strings.newConversation, run: () => this.#on.create() }] : []),
    ];
    this.#options = options.map(({ text, run }, index) => {
      const attributes = { role: "option", id: `switcher-${index}`, dir: "auto", onclick: () => this.#run(index) };
      return { element: el("li", attributes, text), run };
    });
    this.#list.replaceChildren(...this.#options.map(({ element }) => element));
    this.#select(0);
  }

  /** @param {number} index */
  #select(index) {
    this.#selected = (index + this.#options.length) % this.#options.length;
    for (const [each, { element }] of this.#options.entries()) {
      element.setAttribute("aria-selected", String(each === this.#selected));
    }
    const { element } = this.#options[this.#selected];
    this.#field.setAttribute("aria-activedescendant", element.id);
    element.scrollIntoView({ block: "nearest" });
  }

  /** @param {number} index */
  #run(index) {
    this.element.close();
    this.#options[index].run();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.key === "ArrowDown") this.#select(this.#selected + 1);
    else if (event.key === "ArrowUp") this.#select(this.#selected - 1);
    else if (event.key === "Enter") this.#run(this.#selected);
    else return;
    event.preventDefault();
  }
}
