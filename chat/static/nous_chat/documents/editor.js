// The editor of a document: CodeMirror in the element's shadow tree. What is special about a document's text, such as the
// changes of others, comes as extensions. Used by pane.js and by the views of versions.

import {
  Compartment,
  defaultKeymap,
  drawSelection,
  EditorState,
  EditorView,
  history,
  historyKeymap,
  keymap,
  lineNumbers,
  syntaxHighlighting,
  Transaction,
} from "../vendor/codemirror/codemirror.js";
import { colours, languageOf } from "./languages.js";

/**
 * @import { Document } from "../protocol/types.d.ts"
 * @import { ChangeSet, Extension, ViewUpdate } from "../vendor/codemirror/codemirror.js"
 */

/** How every text of a document looks, also in a comparison. @param {Document} document  @param {string} label */
export function appearance(document, label) {
  const code = document.kind !== "markdown";
  return [
    EditorView.theme({
      "&": { height: "100%", color: "var(--nc-text)", backgroundColor: "transparent" },
      "&.cm-focused": { outline: "none" },
      ".cm-scroller": {
        fontFamily: code ? "var(--nc-mono)" : "inherit",
        fontSize: code ? "13px" : "15px",
        lineHeight: code ? "20px" : "24px",
      },
      ".cm-content": { padding: "16px 0", caretColor: "var(--nc-text)" },
      ".cm-line": { padding: "0 16px" },
      ".cm-cursor, .cm-dropCursor": { borderLeftColor: "var(--nc-text)" },
      "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": {
        background: "color-mix(in srgb, var(--nc-accent) 25%, transparent)",
      },
      ".cm-gutters": {
        color: "var(--nc-muted)",
        backgroundColor: "var(--nc-ground)",
        border: "0",
      },
    }),
    syntaxHighlighting(colours),
    EditorView.lineWrapping,
    EditorState.tabSize.of(4),
    EditorView.contentAttributes.of({ "aria-label": label, dir: code ? "ltr" : "auto", translate: "no" }),
    code ? lineNumbers() : [],
  ];
}

/** Adds the grammar of a document to an editor, as soon as it has been loaded. @param {Document} document */
export function grammar(document) {
  const place = new Compartment();
  return {
    extension: place.of([]),
    /** @param {EditorView} view */
    load: async (view) => {
      const language = await languageOf(document);
      if (language) view.dispatch({ effects: place.reconfigure(language.extension) });
    },
  };
}

/**
 * @param {object} options
 * @param {Document} options.document
 * @param {string} options.text
 * @param {string} options.label  the name of the text field
 * @param {ShadowRoot|globalThis.Document} options.root
 * @param {Extension[]} options.extensions
 * @param {(changes: ChangeSet) => void} options.onChange  the user has changed the text
 * @param {(update: ViewUpdate) => void} options.onUpdate
 */
export function createEditor({ document, text, label, root, extensions, onChange, onUpdate }) {
  const colouring = grammar(document);
  const view = new EditorView({
    root,
    state: EditorState.create({
      doc: text,
      extensions: [
        extensions,
        history(),
        drawSelection(),
        keymap.of([...historyKeymap, ...defaultKeymap]),
        appearance(document, label),
        colouring.extension,
        EditorView.updateListener.of((update) => {
          for (const transaction of update.transactions) {
            if (transaction.docChanged && !transaction.annotation(Transaction.remote)) onChange(transaction.changes);
          }
          onUpdate(update);
        }),
      ],
    }),
  });
  colouring.load(view);
  return view;
}
