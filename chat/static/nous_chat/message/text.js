// Shows a growing text as it was written: what people say, and thinking. Answers are shown by markdown/view.js, which has
// the same interface. Called by message.js, at most once per animation frame.

// A block is closed at the next line end once it is this long, so that appending never lays out more than the last
// block again, however long the answer is. The line end itself stands between the blocks: it is part of the text, but
// not shown, so that copying over blocks gives the text, too.
const BLOCK = 2000;

export class TextView {
  #element;
  #tail;
  #text = "";

  /** @param {HTMLElement} element its textContent, and its property `source`, is always exactly the text */
  constructor(element) {
    this.#element = element;
  }

  /** @param {string} text */
  append(text) {
    this.#text = this.#element.source = this.#text + text;
    let rest = text;
    while (rest) {
      this.#tail ??= this.#element.appendChild(document.createElement("div")).appendChild(new Text());
      const end = rest.indexOf("\n", Math.max(0, BLOCK - this.#tail.length));
      this.#tail.appendData(end < 0 ? rest : rest.slice(0, end));
      if (end < 0) return;
      this.#element.append("\n");
      this.#tail = null;
      rest = rest.slice(end + 1);
    }
  }

  /** The whole text; what stands there already is left alone. @param {string} text */
  set(text) {
    if (text.startsWith(this.#text)) return this.append(text.slice(this.#text.length));
    this.#element.replaceChildren();
    this.#tail = null;
    this.#text = "";
    this.append(text);
  }
}
