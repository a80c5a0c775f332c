// Shows a growing text. The seam for rich rendering: whoever offers append(text) and set(text) can stand here.
// Called by message.js, at most once per animation frame.

// A block of the page is closed at the next line end once it is this long, so that appending never lays out again
// more than the last block, however long the answer is.
const BLOCK = 2000;

export class TextView {
  #element; #tail;
  #text = "";

  /** @param {HTMLElement} element its textContent is always exactly the text */
  constructor(element) {
    this.#element = element;
  }

  /** @param {string} text */
  append(text) {
    this.#text += text;
    let rest = text;
    while (rest) {
      this.#tail ??= this.#element.appendChild(document.createElement("div")).appendChild(new Text());
      const room = BLOCK - this.#tail.length;
      const end = rest.length > room ? rest.indexOf("\n", Math.max(0, room)) + 1 : 0;
      this.#tail.appendData(end ? rest.slice(0, end) : rest);
      rest = end ? rest.slice(end) : "";
      if (end) this.#tail = null;
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
