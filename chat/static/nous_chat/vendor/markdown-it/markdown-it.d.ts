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
  posMax: number;
  env: any;
  md: MarkdownIt;
  push(type: string, tag: string, nesting: number): Token;
}
export default class MarkdownIt {
  constructor(preset: string, options: object);
  linkify: {
    set(options: object): void;
    testSchemaAt(text: string, schema: string, from: number): number;
    matchAtStart(text: string): { url: string; lastIndex: number } | null;
  };
  inline: {
    State: { prototype: { scanDelims: (this: StateInline, start: number, canSplitWord: boolean) => object } };
    tokenize(state: StateInline): void;
    ruler: { before(rule: string, name: string, run: (state: StateInline, silent: boolean) => boolean): void };
  };
  parse(text: string, env: object): Token[];
  parseInline(text: string, env: object): Token[];
}
