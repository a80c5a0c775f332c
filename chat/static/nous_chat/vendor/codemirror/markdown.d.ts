// Types of what documents/languages.js uses, written by hand.

export interface MarkdownParser {
  configure(extensions: readonly object[]): MarkdownParser;
}
export const parser: MarkdownParser;
export const GFM: object;
