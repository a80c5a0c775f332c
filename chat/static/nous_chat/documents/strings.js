// The strings of an open document, in the manner of ../i18n/strings.js. They are loaded with the editor, when the language
// is known.

import { gettext as _, dateOf, integer, ngettext } from "../i18n/gettext.js";

export const documentStrings = {
  /** @param {string} title */
  textOf: (title) => _("Text of {title}", { title }),
  /** @param {string} title */
  previewOf: (title) => _("Preview of {title}", { title }),
  view: _("View"),
  modes: { source: _("Source"), split: _("Split"), preview: _("Preview") },
  widen: _("Full width"),
  close: _("Close document"),
  actions: _("Document actions"),
  saved: _("Saved"),
  saving: _("Saving…"),
  waiting: _("Offline. Your changes are kept and saved when you are back online."),
  readOnly: _("You can read this document but not change it."),
  deleted: _("This document was deleted."),
  reloaded: _("This document was loaded again."),
  /** @param {string} agent */
  writes: (agent) => _("{agent} is writing", { agent }),
  /** @param {string} agent  @param {string} title */
  beganToWrite: (agent, title) => _("{agent} is writing in {title}.", { agent, title }),
  /** @param {string} agent  @param {string} title */
  stoppedWriting: (agent, title) => _("{agent} has stopped writing in {title}.", { agent, title }),
  /** @param {string} name  @param {string} title */
  changed: (name, title) => _("{name} changes {title}.", { name, title }),
  /** @param {string} agent */
  isWritingHere: (agent) => _("{agent} is writing here. Take over to change it now.", { agent }),
  takeOver: _("Take over"),
  showPlace: _("Show"),
  copyAll: _("Copy text"),
  copied: _("Copied."),
  notCopied: _("The browser does not allow copying. Select the text and press Ctrl+C or ⌘C."),
  date: dateOf,
  number: integer,

  // Preview.
  empty: _("Nothing to show yet."),
  noPreview: _("This cannot be shown. Correct the source."),
  table: _("Table"),
  /** @param {string} column */
  sortBy: (column) => _("Sort by {column}", { column }),
  /** @param {number} number */
  column: (number) => _("Column {number}", { number: integer(number) }),
  /** @param {number} count */
  moreRows: (count) => ngettext("Show {count} more row", "Show {count} more rows", count),
  scriptsBlocked: _("The scripts of this page are off."),
  allowScripts: _("Run scripts of this version"),

  // History.
  history: _("History"),
  closeHistory: _("Back to the text"),
  versions: _("Versions"),
  earlierVersions: _("Earlier versions"),
  noHistory: _("Nobody has written anything yet."),
  comparisons: { inline: _("Inline"), split: _("Side by side"), authors: _("Who wrote it") },
  compareWith: _("Compare with"),
  versionBefore: _("the version before"),
  /** @param {number} version  @param {string} date */
  versionOf: (version, date) => _("Version {version}, {date}", { version: integer(version), date }),
  restore: _("Restore this version"),
  nameVersion: _("Name this version"),
  versionName: _("Name (empty for none)"),
  download: _("Download"),
  before: _("Before"),
  after: _("After"),
  differences: _("Differences"),
  noDifference: _("Both versions have the same text."),
  author: _("Author"),
  lines: _("Lines"),
  longAgo: _("long ago"),
  /** @param {number} count */
  onlyNewest: (count) =>
    ngettext(
      "Only the last {count} change was looked at. Who wrote older lines is not shown.",
      "Only the last {count} changes were looked at. Who wrote older lines is not shown.",
      count,
    ),

  print: _("Print"),
  rename: _("Rename document"),
  deleteTitle: _("Delete this document?"),
  deleteText: _("It disappears for everyone in the conversation."),

  // Proposals.
  askAgent: _("Ask the agent about the selection"),
  askHint: _("Ask the agent to change the selected text"),
  ask: _("Ask"),
  asked: _("Sent. The agent's answer is a proposal that you accept or decline."),
  /** @param {string} agent */
  proposes: (agent) => _("{agent} proposes a change.", { agent }),
  /** @param {number} count */
  proposedChanges: (count) => ngettext("{count} proposed change", "{count} proposed changes", count),
  proposedChange: _("Proposed change"),
  proposedDeletion: _("Delete this"),
  accept: _("Accept"),
  decline: _("Decline"),
  acceptAll: _("Accept all"),
  declineAll: _("Decline all"),
  unchanged: _("$ unchanged lines"),
};
