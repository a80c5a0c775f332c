// The grammars of the editor, each loaded with the first document in its language. Used by editor.js.

import {
  defineLanguageFacet,
  HighlightStyle,
  Language,
  StreamLanguage,
  tags,
} from "../vendor/codemirror/codemirror.js";

/** @import { Document } from "../protocol/types.d.ts" */

/** @type {Record<string, () => Promise<object>>} */
const FILES = {
  clike: () => import("../vendor/codemirror/modes/clike.js"),
  css: () => import("../vendor/codemirror/modes/css.js"),
  diff: () => import("../vendor/codemirror/modes/diff.js"),
  dockerfile: () => import("../vendor/codemirror/modes/dockerfile.js"),
  go: () => import("../vendor/codemirror/modes/go.js"),
  javascript: () => import("../vendor/codemirror/modes/javascript.js"),
  lua: () => import("../vendor/codemirror/modes/lua.js"),
  powershell: () => import("../vendor/codemirror/modes/powershell.js"),
  python: () => import("../vendor/codemirror/modes/python.js"),
  r: () => import("../vendor/codemirror/modes/r.js"),
  ruby: () => import("../vendor/codemirror/modes/ruby.js"),
  rust: () => import("../vendor/codemirror/modes/rust.js"),
  shell: () => import("../vendor/codemirror/modes/shell.js"),
  sql: () => import("../vendor/codemirror/modes/sql.js"),
  swift: () => import("../vendor/codemirror/modes/swift.js"),
  toml: () => import("../vendor/codemirror/modes/toml.js"),
  xml: () => import("../vendor/codemirror/modes/xml.js"),
  yaml: () => import("../vendor/codemirror/modes/yaml.js"),
};

/** The file of a language, and its name there if that is another. @type {Record<string, [file: string, name?: string]>} */
const LANGUAGES = {
  bash: ["shell"],
  c: ["clike"],
  "c#": ["clike", "csharp"],
  "c++": ["clike", "cpp"],
  cpp: ["clike"],
  csharp: ["clike"],
  css: ["css"],
  dart: ["clike"],
  diff: ["diff"],
  docker: ["dockerfile", "dockerFile"],
  dockerfile: ["dockerfile", "dockerFile"],
  go: ["go"],
  html: ["xml"],
  java: ["clike"],
  javascript: ["javascript"],
  js: ["javascript"],
  json: ["javascript"],
  jsx: ["javascript"],
  kotlin: ["clike"],
  less: ["css"],
  lua: ["lua"],
  patch: ["diff"],
  powershell: ["powershell", "powerShell"],
  py: ["python"],
  python: ["python"],
  r: ["r"],
  ruby: ["ruby"],
  rust: ["rust"],
  scala: ["clike"],
  scss: ["css", "sCSS"],
  sh: ["shell"],
  shell: ["shell"],
  sql: ["sql", "standardSQL"],
  svg: ["xml"],
  swift: ["swift"],
  toml: ["toml"],
  ts: ["javascript", "typescript"],
  tsx: ["javascript", "typescript"],
  typescript: ["javascript"],
  xml: ["xml"],
  yaml: ["yaml"],
  yml: ["yaml"],
};

/** The grammar of a document; null if there is none, or it cannot be loaded. @param {Document} document */
export async function languageOf({ kind, language }) {
  try {
    if (kind === "markdown" || /^(md|markdown)$/i.test(language)) return await markdown();
    const name = (kind === "code" ? language : kind).toLowerCase();
    const [file, own = name] = LANGUAGES[name] ?? [];
    if (!file) return null;
    const modes = /** @type {Record<string, object>} */ (await FILES[file]());
    return StreamLanguage.define(modes[own] ?? modes[file]);
  } catch {
    return null; // without colours
  }
}

async function markdown() {
  const { parser, GFM } = await import("../vendor/codemirror/markdown.js");
  return new Language(defineLanguageFacet(), parser.configure([GFM]), [], "markdown");
}

const { function: functionOf, standard } = tags;

/** Classes, because styles are in documents.css. */
export const colours = HighlightStyle.define([
  { tag: [tags.comment, tags.meta, tags.processingInstruction], class: "tok-comment" },
  { tag: [tags.keyword, tags.operator], class: "tok-keyword" },
  { tag: [tags.string, tags.regexp, tags.inserted], class: "tok-string" },
  { tag: [tags.number, tags.bool, tags.null, tags.atom, tags.literal, tags.deleted], class: "tok-number" },
  { tag: [functionOf(tags.variableName), tags.labelName, tags.attributeName], class: "tok-name" },
  { tag: [tags.typeName, tags.className, tags.tagName, standard(tags.variableName)], class: "tok-type" },
  { tag: tags.heading, class: "tok-heading" },
  { tag: tags.strong, class: "tok-strong" },
  { tag: tags.emphasis, class: "tok-emphasis" },
  { tag: tags.strikethrough, class: "tok-strikethrough" },
  { tag: [tags.link, tags.url], class: "tok-link" },
  { tag: tags.monospace, class: "tok-monospace" },
  { tag: tags.quote, class: "tok-quote" },
]);
