// Ctrl+K: a field and the conversations whose titles have what is written in it. Called by nous-chat.js.

import { words } from "../i18n/strings.js";
import { dialog } from "../ui/dialog.js";
import { el } from "../ui/dom.js";

const SHOWN = 50;

export class Switcher {
  #on;
  #field;
  #list;
  #options = []; // {element, run}
  #chosen = 0;

  /**
   * @param {object} on
   * @param {() => object[]} on.conversations newest first
   * @param {(id: string) => void} on.open
   * @param {() => void} on.begin a new one
   */
  constructor(on) {
    this.#on = on;
    this.#field = el("input", {
      type: "text",
      role: "combobox",
      "aria-expanded": "true",
      "aria-controls": "switcher-list",
      "aria-autocomplete": "list",
      "aria-label": words.switchTo,
      placeholder: words.switchTo,
      autocomplete: "off",
      dir: "auto",
      oninput: () => this.#fill(),
      onkeydown: (event) => this.#key(event),
    });
    this.#list = el("ul", { id: "switcher-list", role: "listbox", "aria-label": words.conversations });
    this.element = dialog(words.switchTo, "switcher", this.#field, this.#list);
  }

  show() {
    if (this.element.open) return this.element.close();
    this.#field.value = "";
    this.#fill();
    this.element.showModal();
    this.#field.focus();
  }

  #fill() {
    const wanted = this.#field.value.trim().toLocaleLowerCase();
    const fits = ({ title }) => (title || words.untitled).toLocaleLowerCase().includes(wanted);
    this.#options = this.#on
      .conversations()
      .filter(fits)
      .slice(0, SHOWN)
      .map(({ id, title }) => ({
        text: title || words.untitled,
        run: () => this.#on.open(id),
      }));
    this.#options.push({ text: words.newConversation, run: () => this.#on.begin() });
    this.#list.replaceChildren(
      ...this.#options.map(
        (option, index) =>
          (option.element = el(
            "li",
            { role: "option", id: `switcher-${index}`, dir: "auto", onclick: () => this.#run(index) },
            option.text,
          )),
      ),
    );
    this.#choose(0);
  }

  #choose(index) {
    this.#chosen = (index + this.#options.length) % this.#options.length;
    for (const [each, { element }] of this.#options.entries())
      element.setAttribute("aria-selected", each === this.#chosen);
    const { element } = this.#options[this.#chosen];
    this.#field.setAttribute("aria-activedescendant", element.id);
    element.scrollIntoView({ block: "nearest" });
  }

  #run(index) {
    this.element.close();
    this.#options[index].run();
  }

  #key(event) {
    if (event.isComposing) return;
    if (event.key === "ArrowDown") this.#choose(this.#chosen + 1);
    else if (event.key === "ArrowUp") this.#choose(this.#chosen - 1);
    else if (event.key === "Enter") this.#run(this.#chosen);
    else return;
    event.preventDefault();
  }
}
