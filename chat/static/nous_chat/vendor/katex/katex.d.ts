// Types of what formula.js uses, written by hand; the type checker reads them instead of the library.

declare const katex: { render(text: string, element: HTMLElement, options: object): void };
export default katex;
