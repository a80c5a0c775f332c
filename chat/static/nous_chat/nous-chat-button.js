// Defines <nous-chat-button>: a floating button that opens a conversation in a panel. Its children are a link to the
// conversation, for pages without JavaScript, and a <template> with the panel, a <dialog> that holds a <nous-chat>.

/** Where the panel covers the page, the page behind it cannot be used. page.css has the same width. */
const small = matchMedia("(max-width: 40rem)");

class NousChatButton extends HTMLElement {
  /** @type {HTMLDialogElement|null} created when it is first opened */
  #panel = null;
  /** @type {HTMLButtonElement|undefined} */
  #button;

  connectedCallback() {
    const link = this.querySelector(":scope > a");
    if (!link) return; // it was connected before
    this.#button = document.createElement("button");
    this.#button.type = "button";
    this.#button.className = link.className;
    this.#button.textContent = link.textContent;
    this.#button.ariaExpanded = "false";
    this.#button.ariaHasPopup = "dialog";
    this.#button.addEventListener("click", () => (this.#panel?.open ? this.#panel.close() : this.#open()));
    link.replaceWith(this.#button);
  }

  #open() {
    this.#panel ??= this.#createPanel();
    if (small.matches) this.#panel.showModal();
    else this.#panel.show();
    if (this.#button) this.#button.ariaExpanded = "true";
  }

  #createPanel() {
    const template = /** @type {HTMLTemplateElement} */ (this.querySelector(":scope > template"));
    this.append(document.importNode(template.content, true));
    const panel = /** @type {HTMLDialogElement} */ (this.querySelector(":scope > dialog"));
    panel.addEventListener("close", () => {
      if (this.#button) this.#button.ariaExpanded = "false";
      this.#button?.focus();
    });
    panel.addEventListener("keydown", (event) => this.#pressed(event));
    return panel;
  }

  /** Escape closes the panel, unless the chat has used it: to stop an answer, or to close something of its own.
   * @param {KeyboardEvent} event */
  #pressed(event) {
    const inside = event
      .composedPath()
      .some((each) => each instanceof Element && each !== this.#panel && each.matches("dialog, :popover-open"));
    if (event.key === "Escape" && !event.defaultPrevented && !inside) this.#panel?.close();
  }
}

customElements.define("nous-chat-button", NousChatButton);
