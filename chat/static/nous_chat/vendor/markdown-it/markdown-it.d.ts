// Types of what inline.js uses, written by hand; the type checker reads them instead of the library.

export interface Token {
  type: string;
  content: string;
  nesting: -1 | 0 | 1;
  children: Token[] | null;
  meta: any;
  info: string;
  tag: string;
  attrGet(name: string): string | null;
}
export interface StateInline {
  src: string;
  pos: number;
  push(type: string, tag: string, nesting: number): Token;
}
export default class MarkdownIt {
  constructor(preset: string, options: object);
  linkify: { set(options: object): void };
  inline: {
    ruler: { before(rule: string, name: string, run: (state: StateInline, silent: boolean) => boolean): void };
  };
  parse(text: string, env: object): Token[];
  parseInline(text: string, env: object): Token[];
}
