// Types of what colours.js uses, written by hand; the type checker reads them instead of the library.

declare const highlighter: {
  getLanguage(name: string): object | undefined;
  highlight(
    text: string,
    options: { language: string; ignoreIllegals: boolean },
  ): { value: string; _top?: { parent?: object } };
};
export default highlighter;
