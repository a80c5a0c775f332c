// Types of what inline.js uses, written by hand; the type checker reads them instead of the library.

export default function remend(text: string, options: object): string;
