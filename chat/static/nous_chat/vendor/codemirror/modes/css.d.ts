// Modes for StreamLanguage, looked up by name in documents/languages.js.

export {};
