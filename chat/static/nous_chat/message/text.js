// Plain text that grows: users' messages and thinking. Answers are shown by markdown/view.js, which has the same
// interface. Called at most once per animation frame.

// A block ends at the next line end after this many characters, so that appending never lays out more than the last
// block, however long the text is. The line end itself stands between the blocks: invisible, but copied.
const BLOCK_LENGTH = 2000;

export class TextView {
  #element;
  /** @type {Text|null} the last block's text node */
  #tail = null;
  #text = "";

  /** @param {HTMLElement & {source?: string}} element its textContent and its `source` are always exactly the text */
  constructor(element) {
    this.#element = element;
  }

  /** @param {string} text */
  append(text) {
    this.#text = this.#element.source = this.#text + text;
    let rest = text;
    while (rest) {
      this.#tail ??= this.#element.appendChild(document.createElement("div")).appendChild(new Text());
      const end = rest.indexOf("\n", Math.max(0, BLOCK_LENGTH - this.#tail.length));
      this.#tail.appendData(end < 0 ? rest : rest.slice(0, end));
      if (end < 0) return;
      this.#element.append("\n");
      this.#tail = null;
      rest = rest.slice(end + 1);
    }
  }

  /** Shows a text and keeps the nodes of its beginning, if that is shown already. @param {string} text */
  set(text) {
    if (text.startsWith(this.#text)) return this.append(text.slice(this.#text.length));
    this.#element.replaceChildren();
    this.#tail = null;
    this.#text = "";
    this.append(text);
  }
}
