// Types of what documents/ uses, written by hand; the type checker reads them instead of the library, whose own say more
// (https://codemirror.net/docs/ref/).

export type ChangesJSON = (number | [number, ...string[]])[];
export type ChangeSpec = { from: number; to?: number; insert?: string | Text } | ChangeSet | readonly ChangeSpec[];
export type Extension = object;
type Side = -1 | 0 | 1 | number;

export class Text {
  static of(lines: readonly string[]): Text;
  readonly length: number;
  readonly lines: number;
  line(number: number): Line;
  lineAt(position: number): Line;
  sliceString(from: number, to?: number): string;
  slice(from: number, to?: number): Text;
  eq(other: Text): boolean;
}
export interface Line {
  from: number;
  to: number;
  number: number;
  text: string;
}
export interface ChangeDesc {
  readonly length: number;
  readonly newLength: number;
  readonly empty: boolean;
  readonly invertedDesc: ChangeDesc;
  mapPos(position: number, assoc?: Side): number;
  iterChangedRanges(visit: (fromA: number, toA: number, fromB: number, toB: number) => void): void;
}
export class ChangeSet implements ChangeDesc {
  static of(changes: ChangeSpec, length: number): ChangeSet;
  static fromJSON(json: ChangesJSON): ChangeSet;
  readonly length: number;
  readonly newLength: number;
  readonly empty: boolean;
  readonly invertedDesc: ChangeDesc;
  readonly desc: ChangeDesc;
  apply(text: Text): Text;
  compose(other: ChangeSet): ChangeSet;
  invert(text: Text): ChangeSet;
  map(other: ChangeDesc, before?: boolean): ChangeSet;
  mapPos(position: number, assoc?: Side): number;
  toJSON(): ChangesJSON;
  iterChangedRanges(visit: (fromA: number, toA: number, fromB: number, toB: number) => void): void;
}
export interface SelectionRange {
  anchor: number;
  head: number;
  from: number;
  to: number;
  empty: boolean;
}
export class EditorSelection {
  static cursor(position: number): SelectionRange;
  readonly main: SelectionRange;
}
export interface StateEffectType<T> {
  of(value: T): StateEffect<T>;
}
export class StateEffect<T> {
  static define<T = null>(): StateEffectType<T>;
  readonly value: T;
  is<U>(type: StateEffectType<U>): this is StateEffect<U>;
}
export class Annotation<T> {
  static define<T>(): { of(value: T): Annotation<T> };
}
export interface TransactionSpec {
  changes?: ChangeSpec;
  selection?: { anchor: number; head?: number };
  effects?: StateEffect<any> | readonly StateEffect<any>[];
  annotations?: Annotation<any> | readonly Annotation<any>[];
  scrollIntoView?: boolean;
  filter?: boolean;
  userEvent?: string;
}
export class Transaction {
  static readonly remote: { of(value: boolean): Annotation<boolean> };
  static readonly addToHistory: { of(value: boolean): Annotation<boolean> };
  readonly startState: EditorState;
  readonly state: EditorState;
  readonly changes: ChangeSet;
  readonly effects: readonly StateEffect<any>[];
  readonly docChanged: boolean;
  annotation<T>(type: { of(value: T): Annotation<T> }): T | undefined;
  isUserEvent(event: string): boolean;
}
export class StateField<T> {
  static define<T>(config: {
    create(state: EditorState): T;
    update(value: T, transaction: Transaction): T;
    provide?(field: StateField<T>): Extension;
  }): StateField<T> & Extension;
  init(create: (state: EditorState) => T): Extension;
}
export interface Facet<Input, Output> {
  of(value: Input): Extension;
  from<T>(field: StateField<T>, get?: (value: T) => Input): Extension;
  compute(deps: readonly object[], get: (state: EditorState) => Input): Extension;
}
export class EditorState {
  static create(config: { doc?: string | Text; extensions?: Extension }): EditorState;
  static readonly readOnly: Facet<boolean, boolean>;
  static readonly tabSize: Facet<number, number>;
  static readonly changeFilter: Facet<(transaction: Transaction) => boolean | readonly number[], unknown>;
  static readonly phrases: Facet<Record<string, string>, unknown>;
  readonly doc: Text;
  readonly selection: EditorSelection;
  readonly readOnly: boolean;
  field<T>(field: StateField<T>): T;
  field<T>(field: StateField<T>, require: false): T | undefined;
  update(spec: TransactionSpec): Transaction;
  sliceDoc(from?: number, to?: number): string;
}
export class Compartment {
  of(extension: Extension): Extension;
  reconfigure(extension: Extension): StateEffect<any>;
}
export const Prec: { highest(extension: Extension): Extension; high(extension: Extension): Extension };

export type DecorationSet = object;
export interface Range {
  from: number;
  to: number;
}
export class Decoration {
  static mark(spec: { class?: string; attributes?: Record<string, string> }): Decoration;
  static widget(spec: { widget: WidgetType; side?: number; block?: boolean }): Decoration;
  static line(spec: { class?: string }): Decoration;
  static set(ranges: readonly Range[], sort?: boolean): DecorationSet;
  static readonly none: DecorationSet;
  range(from: number, to?: number): Range;
}
export class WidgetType {
  eq(other: WidgetType): boolean;
  toDOM(view: EditorView): HTMLElement;
  ignoreEvent(event: Event): boolean;
}
export interface ViewUpdate {
  readonly view: EditorView;
  readonly state: EditorState;
  readonly startState: EditorState;
  readonly transactions: readonly Transaction[];
  readonly changes: ChangeSet;
  readonly docChanged: boolean;
  readonly selectionSet: boolean;
  readonly focusChanged: boolean;
}
export interface KeyBinding {
  key: string;
  run(view: EditorView): boolean;
}
export class EditorView {
  constructor(config: {
    state?: EditorState;
    doc?: string | Text;
    extensions?: Extension;
    parent?: Element | DocumentFragment;
    root?: Document | ShadowRoot;
  });
  static readonly updateListener: Facet<(update: ViewUpdate) => void, unknown>;
  static readonly contentAttributes: Facet<Record<string, string>, unknown>;
  static readonly decorations: Facet<DecorationSet, unknown>;
  static readonly editable: Facet<boolean, boolean>;
  static readonly lineWrapping: Extension;
  static theme(spec: Record<string, Record<string, string | Record<string, string>>>): Extension;
  static scrollIntoView(position: number, options?: { y?: "start" | "center" | "nearest" }): StateEffect<any>;
  readonly state: EditorState;
  readonly dom: HTMLElement;
  readonly contentDOM: HTMLElement;
  readonly scrollDOM: HTMLElement;
  readonly hasFocus: boolean;
  dispatch(...changes: (Transaction | TransactionSpec)[]): void;
  setState(state: EditorState): void;
  focus(): void;
  destroy(): void;
}
export function drawSelection(): Extension;
export function lineNumbers(): Extension;
export const keymap: { of(bindings: readonly KeyBinding[]): Extension };

export const defaultKeymap: readonly KeyBinding[];
export const historyKeymap: readonly KeyBinding[];
export function history(): Extension;

export interface Update {
  changes: ChangeSet;
  clientID: string;
  effects?: readonly StateEffect<any>[];
}
export function collab(config?: { startVersion?: number; clientID?: string }): Extension;
export function receiveUpdates(state: EditorState, updates: readonly Update[]): Transaction;
export function sendableUpdates(state: EditorState): readonly (Update & { origin: Transaction })[];
export function getSyncedVersion(state: EditorState): number;

export class HighlightStyle {
  static define(specs: readonly { tag: Tag | readonly Tag[]; class: string }[]): HighlightStyle;
}
export function syntaxHighlighting(style: HighlightStyle): Extension;
export class Language {
  constructor(data: object, parser: object, extra?: readonly Extension[], name?: string);
  readonly extension: Extension;
}
export function defineLanguageFacet(base?: object): object;
export class StreamLanguage extends Language {
  static define(mode: object): StreamLanguage;
}

export class Chunk {
  static build(a: Text, b: Text, config?: { scanLimit?: number; timeout?: number }): readonly Chunk[];
  readonly fromA: number;
  readonly toA: number;
  readonly fromB: number;
  readonly toB: number;
}
export class MergeView {
  constructor(config: {
    a: { doc: string | Text; extensions?: Extension };
    b: { doc: string | Text; extensions?: Extension };
    parent?: Element | DocumentFragment;
    root?: Document | ShadowRoot;
    gutter?: boolean;
    highlightChanges?: boolean;
    collapseUnchanged?: { margin?: number; minSize?: number };
    diffConfig?: { scanLimit?: number; timeout?: number };
  });
  readonly dom: HTMLElement;
  readonly a: EditorView;
  readonly b: EditorView;
  readonly chunks: readonly Chunk[];
  destroy(): void;
}
export function unifiedMergeView(config: {
  original: string | Text;
  highlightChanges?: boolean;
  gutter?: boolean;
  mergeControls?: boolean | ((type: "reject" | "accept", action: (event: MouseEvent) => void) => HTMLElement);
  collapseUnchanged?: { margin?: number; minSize?: number };
  diffConfig?: { scanLimit?: number; timeout?: number };
}): Extension;
export interface Tag {
  readonly id: number;
}
type TagFunction = (tag: Tag) => Tag;
export const tags: Record<
  | "comment" | "keyword" | "string" | "number" | "bool" | "null" | "atom" | "regexp" | "literal" | "typeName" | "className"
  | "tagName" | "attributeName" | "propertyName" | "meta" | "operator" | "heading" | "emphasis" | "strong" | "link" | "url"
  | "monospace" | "quote" | "strikethrough" | "inserted" | "deleted" | "processingInstruction" | "contentSeparator"
  | "variableName" | "labelName" | "list",
  Tag
> & { function: TagFunction; definition: TagFunction; standard: TagFunction };
