// All strings of the page. Each is an argument of `_` or `ngettext`, so that makemessages finds it: `make words` adds new
// ones to chat/locale, where they are translated. Used by the views.

import {
  gettext as _,
  dateOf,
  dayOf,
  decimal,
  integer,
  money,
  ngettext,
  ordinal,
  relativeTime,
  setCatalogue,
  timeOf,
} from "./gettext.js";

/** @import { Failure } from "../protocol/types.d.ts" */

const translated = () => ({
  conversations: _("Conversations"),
  newConversation: _("New conversation"),
  noConversations: _("You have no conversations yet. Others can add you to theirs."),
  apiTokens: _("API tokens"),
  guest: _("You are chatting as a guest."),
  signInToKeep: _("Sign in to keep this conversation"),
  untitled: _("New conversation"),
  messages: _("Messages"),
  message: _("Message"),
  /** @param {string} agent */
  placeholder: (agent) => _("Message {agent}", { agent }),
  send: _("Send"),
  stop: _("Stop"),
  retry: _("Retry"),
  dismiss: _("Dismiss"),
  earlier: _("Earlier messages"),
  toEnd: _("Jump to latest"),
  /** @param {number} count */
  unseen: (count) => ngettext("{count} new", "{count} new", count),
  you: _("You"),
  somebody: _("Someone"),
  assistant: _("Assistant"),
  system: _("Note"),
  unsent: _("Not sent yet"),
  edited: _("edited"),
  thinking: _("Thinking"),
  thought: _("Thoughts"),
  greeting: _("What can I help with?"),
  starters: _("Ask anything, or try:"),
  readOnly: _("You can read this conversation but not write in it."),

  /** @param {string[]} names */
  typing: (names) => {
    if (names.length === 1) return _("{name} is typing", { name: names[0] });
    if (names.length === 2) return _("{one} and {other} are typing", { one: names[0], other: names[1] });
    return _("Several people are typing");
  },

  // Actions of a message.
  actions: _("Actions"),
  rating: { good: _("Good answer"), bad: _("Bad answer") },
  comment: _("Comment"),
  action: {
    copy: _("Copy"),
    retry: _("Retry"),
    reply: _("Reply"),
    edit: _("Edit"),
    feedback: _("Rate"),
    fork: _("Branch from here"),
    delete: _("Delete"),
  },
  editMessage: _("Edit message"),
  save: _("Save"),
  resend: _("Save and ask again"),
  emptyEdit: _("A message can't be empty. Delete it instead."),
  deletedMessage: _("This message was deleted."),
  editHistory: _("Edit history"),
  /** @param {string} time  @param {string} name */
  versionUntil: (time, name) => _("Until {time}, edited by {name}", { time, name }),
  inReplyTo: _("In reply to"),
  earlierMessage: _("Earlier message"),
  alternatives: _("Answers"),
  previousAnswer: _("Previous answer"),
  nextAnswer: _("Next answer"),
  /** @param {number} place  @param {number} count */
  ofAlternatives: (place, count) => _("{place} of {count}", { place: integer(place), count: integer(count) }),
  unreadBegins: _("New"),
  /** @param {string} iso */
  day: (iso) => {
    const distance = Math.round((new Date(`${iso}T12:00`).getTime() - new Date().setHours(12, 0, 0, 0)) / 86_400_000);
    const day = distance > -2 ? relativeTime(distance, "day") : dayOf(`${iso}T12:00`);
    return day.charAt(0).toLocaleUpperCase() + day.slice(1);
  },

  // Composer.
  mention: _("Mention"),
  attach: _("Attach files"),
  attachments: _("Files"),
  /** @param {string} name */
  removeFile: (name) => _("Remove {name}", { name }),
  /** @param {string} name */
  uploading: (name) => _("Uploading {name}", { name }),
  pasted: _("Pasted file"),
  fileGone: _("This file has expired (unsent files are kept for a day). Attach it again."),
  dropHere: _("Drop files to attach them"),
  /** @param {number} bytes */
  size: (bytes) => {
    if (bytes < 1024) return ngettext("{count} byte", "{count} bytes", bytes);
    if (bytes < 1024 ** 2) return _("{size}\u00a0KB", { size: integer(Math.round(bytes / 1024)) });
    return _("{size}\u00a0MB", { size: decimal(bytes / 1024 ** 2) });
  },
  /** @param {string} name  @param {string} text */
  replyingTo: (name, text) =>
    name ? _("Replying to {name}: {text}", { name, text }) : _("Replying to: {text}", { text }),
  noReply: _("Cancel reply"),
  interrupts: _("Sending this interrupts the answer."),
  queueInstead: _("Queue it instead"),
  queues: _("Will be answered next."),
  interruptInstead: _("Interrupt instead"),
  /** @param {string} agent */
  placeholderMention: (agent) => _("Message everyone; @{agent} answers when mentioned", { agent }),
  placeholderOff: _("Message everyone"),

  // Activity.
  doing: {
    /** @param {string} agent */
    starts: (agent) => _("{agent} is about to answer", { agent }),
    /** @param {string} agent  @param {number} place */
    queued: (agent, place) => _("{agent} is queued, {place}", { agent, place: placeInLine(place) }),
    /** @param {string} agent */
    thinks: (agent) => _("{agent} is thinking", { agent }),
    /** @param {string} agent */
    writes: (agent) => _("{agent} is writing", { agent }),
    /** @param {string} agent  @param {string} tool */
    uses: (agent, tool) => _("{agent} is using {tool}", { agent, tool }),
    /** @param {string} agent */
    asks: (agent) => _("{agent} is waiting for approval", { agent }),
    /** @param {string} agent  @param {number} seconds */
    waits: (agent, seconds) =>
      ngettext(
        "{agent}: the model is busy and is asked again in {count} second",
        "{agent}: the model is busy and is asked again in {count} seconds",
        seconds,
        { agent },
      ),
    /** @param {string} agent */
    fallsBack: (agent) => _("{agent}: its usual model does not answer, so another one does", { agent }),
    /** @param {string} agent  @param {number} seconds */
    slow: (agent, seconds) =>
      ngettext(
        "{agent}: no response from the model for {count} second",
        "{agent}: no response from the model for {count} seconds",
        seconds,
        { agent },
      ),
  },
  /** @param {number} place */
  place: (place) => placeInLine(place),

  // Usage of an answer.
  /** @param {number} count */
  tokens: (count) => ngettext("{count} token", "{count} tokens", count),
  /** @param {number} count */
  atLeastTokens: (count) => _("{count}+ tokens", { count: integer(count) }),
  totalHint: _("Tokens used by the loaded answers"),
  /** @param {number|null} input  @param {number|null} output  @param {number|null} total */
  usage: (input, output, total) =>
    [
      input === null ? null : _("{count} in", { count: integer(input) }),
      output === null ? null : _("{count} out", { count: integer(output) }),
      total === null ? null : ngettext("{count} token", "{count} tokens", total),
    ]
      .filter(Boolean)
      .join(", "),
  /** @param {number} value */
  seconds: (value) =>
    value < 60
      ? _("{seconds}\u00a0s", { seconds: decimal(value) })
      : _("{minutes}\u00a0min {seconds}\u00a0s", { minutes: Math.floor(value / 60), seconds: Math.floor(value % 60) }),
  /** @param {string|number} amount */
  cost: (amount) => money(amount, currency),
  time: timeOf,
  date: dateOf,

  // Tool calls and approvals.
  call: {
    /** @param {string} tool */
    running: (tool) => _("Using {tool}…", { tool }),
    /** @param {string} tool */
    done: (tool) => _("Used {tool}", { tool }),
    /** @param {string} tool */
    failed: (tool) => _("{tool} failed", { tool }),
    /** @param {string} tool */
    rejected: (tool) => _("{tool} rejected", { tool }),
    /** @param {string} tool */
    stopped: (tool) => _("{tool} stopped", { tool }),
  },
  /** The tools that agents have for documents. */
  documentCalls: {
    create_document: {
      name: _("Creating a document"),
      running: _("Creating a document…"),
      done: _("Created a document"),
    },
    read_document: { name: _("Reading a document"), running: _("Reading a document…"), done: _("Read a document") },
    edit_document: { name: _("Editing a document"), running: _("Editing a document…"), done: _("Edited a document") },
    rewrite_document: {
      name: _("Rewriting a document"),
      running: _("Rewriting a document…"),
      done: _("Rewrote a document"),
    },
  },
  proposed: _("Proposed changes to a document"),
  /** @param {string} name */
  approvedBy: (name) => _("approved by {name}", { name }),
  /** @param {string} tool  @param {string} name */
  rejectedBy: (tool, name) => _("{tool} rejected by {name}", { tool, name }),
  arguments: _("Arguments"),
  unreadable: _("The model sent arguments that cannot be read"),
  result: _("Result"),
  emptyResult: _("Empty"),
  /** `send_email` and `sendEmail` as "Send email".  @param {string} tool */
  toolAction: (tool) => {
    const spaced = tool
      .replace(/(\p{Ll})(\p{Lu})/gu, "$1 $2")
      .replace(/[\s_.-]+/g, " ")
      .trim();
    const plain = spaced.toLowerCase() || tool;
    return plain.charAt(0).toUpperCase() + plain.slice(1);
  },
  /** @param {string} action */
  approvalNeeded: (action) => _("Approval needed: {action}.", { action }),
  /** @param {string} what  @param {string} decided */
  happened: (what, decided) => (decided ? _("{what}, {decided}.", { what, decided }) : _("{what}.", { what })),
  /** @param {string} agent  @param {string} tool */
  asks: (agent, tool) => _("{agent} wants to use {tool}.", { agent, tool }),
  approve: _("Approve"),
  reject: _("Reject"),
  reason: _("Reason for rejecting (optional)"),
  reasonHint: _("Reason (optional)"),
  /** @param {string|undefined} line */
  notJson: (line) =>
    line
      ? _("This is not valid JSON (line {line}). Correct it or reject.", { line })
      : _("This is not valid JSON. Correct it or reject."),
  notObject: _("The arguments must be one JSON object in { }."),
  /** @param {string|null} name */
  whoDecides: (name) => (name ? _("{name} or an owner can decide.", { name }) : _("An owner can decide.")),
  /** @param {string} iso */
  decideUntil: (iso) => _("Expires {time}.", { time: dateOf(iso) }),

  // Content of answers.
  /** @param {string} language */
  code: (language) => (language ? _("Code, {language}", { language }) : _("Code")),
  wrap: _("Wrap"),
  copy: _("Copy"),
  copied: _("Copied"),
  /** @param {number} count */
  unfold: (count) => ngettext("Show {count} line", "Show all {count} lines", count),
  table: _("Table"),
  formula: _("Formula"),
  /** @param {number} number */
  footnote: (number) => _("Footnote {number}", { number: integer(number) }),
  done: _("Done"),
  toDo: _("To do"),
  /** @param {string} alt */
  image: (alt) => _("Image: {alt}", { alt }),
  diagram: _("Diagram"),
  /** @param {string} source */
  diagramOf: (source) => _("Diagram of: {source}", { source }),
  drawing: _("Drawing…"),
  noDiagram: _("This diagram could not be drawn."),

  // Outcome of an answer.
  /** @param {string|null} name  @param {number|null} tokens */
  stoppedBy: (name, tokens) => {
    if (tokens === 0)
      return name ? _("{name} stopped this before it began.", { name }) : _("You stopped this before it began.");
    if (tokens === null) return name ? _("{name} stopped this.", { name }) : _("You stopped this.");
    return name
      ? ngettext("{name} stopped this after {count} token.", "{name} stopped this after {count} tokens.", tokens, {
          name,
        })
      : ngettext("You stopped this after {count} token.", "You stopped this after {count} tokens.", tokens);
  },
  ended: {
    stopped: _("This answer was stopped."),
    failed: _("This answer could not be completed."),
    interrupted: _("The server restarted during this answer."),
  },
  cut: _("The answer reached its length limit."),
  paused: _("The model paused here."),
  filtered: _("The provider's content filter stopped this answer."),
  continue: _("Continue"),
  stoppedBefore: _("The answer was stopped before it began."),
  failedBefore: _("The answer could not be started."),
  unanswered: _("The last message has no answer yet."),

  // Connection.
  reconnecting: _("Connection lost. Reconnecting…"),
  /** @param {number} seconds */
  reconnectingIn: (seconds) =>
    ngettext(
      "Connection lost. Reconnecting in {count} second.",
      "Connection lost. Reconnecting in {count} seconds.",
      seconds,
    ),
  restarting: _("The server is restarting. Reconnecting…"),
  /** @param {number} seconds */
  restartingIn: (seconds) =>
    ngettext(
      "The server is restarting. Reconnecting in {count} second.",
      "The server is restarting. Reconnecting in {count} seconds.",
      seconds,
    ),
  offline: _("You are offline. Messages are kept and sent when you are back online."),
  /** @param {number} seconds */
  crowded: (seconds) =>
    ngettext(
      "Too many connections. Trying again in {count} second.",
      "Too many connections. Trying again in {count} seconds.",
      seconds,
    ),
  tooSlow: _("This page fell behind. Reconnecting; nothing is lost."),
  signedOut: _("You are signed out. What you wrote is kept."),
  signIn: _("Sign in"),
  removed: _("You are no longer in this conversation."),
  missing: _("This conversation does not exist, or you have no access to it."),
  reconnectNow: _("Reconnect now"),
  noSocket: _("This network blocks live updates. To see new messages, reload the page."),
  reload: _("Reload"),
  connected: _("Reconnected."),
  /** Why something was refused, and when to try again. @param {Pick<Failure, "code"|"message"|"retry_after">} failure */
  refused: ({ code, message, retry_after }) =>
    retry_after && !SAY_WHEN.has(code) ? `${message} ${tryAgain(Math.ceil(retry_after))}` : message,
  unreachable: _("The server could not be reached."),
  unexpected: _("The server's answer could not be read. Reload the page."),
  /** @param {number} most  @param {number} length */
  messageTooLong: (most, length) =>
    _("A message can have up to {most} characters. This one has {length}.", {
      most: integer(most),
      length: integer(length),
    }),
  gaveUp: _("This could not be sent. Shorten it, or try again later."),

  // Sidebar.
  number: integer,
  /** A time today, a day of the last week, a date.  @param {string} iso */
  when: (iso) => {
    const days = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(iso).setHours(0, 0, 0, 0)) / 86_400_000);
    if (days <= 0) return timeOf(iso);
    return days < 7 ? relativeTime(-days, "day") : dayOf(iso);
  },
  /** @param {string} agent */
  answering: (agent) => _("{agent} is answering", { agent }),
  /** @param {number} count */
  unread: (count) => ngettext("{count} unread", "{count} unread", count),
  earlierConversations: _("Earlier conversations"),
  pinned: _("Pinned"),
  archived: _("Archived"),
  /** @param {number} count */
  archivedCount: (count) => _("Archived ({count})", { count: integer(count) }),
  /** @param {string} name */
  actionsFor: (name) => _("Actions for {name}", { name }),
  pin: _("Pin"),
  unpin: _("Unpin"),
  rename: _("Rename"),
  title: _("Title"),
  archive: _("Archive"),
  unarchive: _("Unarchive"),
  openInAdmin: _("Open in the admin"),
  delete: _("Delete"),
  undo: _("Undo"),
  wasArchived: _("Archived."),
  wasDeleted: _("Deleted for everyone."),
  close: _("Close"),
  cancel: _("Cancel"),
  search: _("Search"),
  clear: _("Clear search"),
  results: _("Search results"),
  /** @param {number} count  @param {boolean} more */
  resultCount: (count, more) => {
    if (count === 0) return _("No results");
    return more
      ? _("{count}+ results", { count: integer(count) })
      : ngettext("{count} result", "{count} results", count);
  },
  moreResults: _("Show more"),
  switchTo: _("Switch conversation"),
  skipToField: _("Skip to the message field"),
  theme: _("Theme"),
  themes: { system: _("System"), light: _("Light"), dark: _("Dark") },
  shortcutsTitle: _("Keyboard shortcuts"),
  shortcuts: /** @type {[string[], string][]} */ ([
    [[_("Enter")], _("Send message")],
    [[_("Shift"), _("Enter")], _("New line")],
    [[_("Esc")], _("Stop the answer")],
    [["↑"], _("Edit your last message (if the field is empty)")],
    [[_("Ctrl"), "K"], _("Switch conversation")],
    [["?"], _("Show keyboard shortcuts")],
  ]),

  // Panel.
  panel: _("People and settings"),
  people: _("People"),
  roles: { owner: _("Owner"), member: _("Member"), viewer: _("Viewer") },
  role: _("Role"),
  /** @param {string} name */
  roleOf: (name) => _("Role of {name}", { name }),
  /** @param {string} name */
  meToo: (name) => _("{name} (you)", { name }),
  here: _("viewing now"),
  addByName: _("Add by username"),
  add: _("Add"),
  /** @param {string} name */
  wasAdded: (name) => _("{name} was added.", { name }),
  leave: _("Leave"),
  leaveTitle: _("Leave this conversation?"),
  leaveText: _("You can come back only if you are added or invited again."),
  transfer: _("Transfer ownership"),
  /** @param {string} name */
  transferTitle: (name) => _("Transfer ownership to {name}?", { name }),
  /** @param {string} name */
  transferText: (name) => _("{name} becomes the owner, and you become a member.", { name }),
  removePerson: _("Remove"),
  /** @param {string} name */
  removeTitle: (name) => _("Remove {name}?", { name }),
  /** @param {string} name */
  removeText: (name) => _("{name} will no longer be able to read or write here. Their messages stay.", { name }),
  invitations: _("Invitation links"),
  link: _("Link"),
  validFor: _("Valid for"),
  /** @param {number} count */
  days: (count) => ngettext("{count} day", "{count} days", count),
  maximumUses: _("Maximum uses"),
  uses: integer,
  createLink: _("Create link"),
  linkCreated: _("Link created. Anyone who has it can join."),
  linkRevoked: _("Link revoked."),
  copyLink: _("Copy link"),
  linkCopied: _("Copied."),
  copyYourself: _("The link is selected. Press Ctrl+C or ⌘C to copy it."),
  revoke: _("Revoke link"),
  /** @param {string} iso */
  until: (iso) => _("expires {date}", { date: dateOf(iso) }),
  /** @param {number} uses  @param {number|null} most */
  used: (uses, most) =>
    most === null
      ? ngettext("used {count} time", "used {count} times", uses)
      : _("{uses} of {most} used", { uses: integer(uses), most: integer(most) }),
  settings: _("Settings"),

  // Documents. Those of an open document are in documents/strings.js.
  document: _("Document"),
  documents: _("Documents"),
  newDocument: _("New document"),
  documentKind: _("Kind"),
  documentKinds: {
    markdown: _("Text"),
    code: _("Code"),
    csv: _("Table"),
    html: _("HTML page"),
    svg: _("SVG image"),
    mermaid: _("Diagram"),
  },
  create: _("Create"),
  loading: _("Loading…"),
  openDocument: _("Open document"),

  answers: _("The agent answers"),
  answersWhen: { always: _("every message"), mention: _("when mentioned"), off: _("never") },
  mode: _("A message during an answer"),
  modes: { interrupt: _("interrupts it"), queue: _("waits until it is complete") },
  agents: _("Agents"),
  oneAgent: _("Keep at least one agent."),
  saved: _("Saved."),

  // For screen readers.
  /** @param {string} agent */
  answerStarted: (agent) => _("{agent} is answering.", { agent }),
  answerComplete: _("Answer complete."),
  /** @param {string} name  @param {string} text */
  said: (name, text) => _("{name}: {text}", { name, text }),
});

/** "3rd in line". @param {number} place */
function placeInLine(place) {
  /** @type {Partial<Record<Intl.LDMLPluralRule, string>>} */
  const forms = {
    one: _("{place}st in line", { place }),
    two: _("{place}nd in line", { place }),
    few: _("{place}rd in line", { place }),
  };
  return forms[ordinal(place)] ?? _("{place}th in line", { place });
}

/** The codes of refusals whose sentence says when to try again. */
const SAY_WHEN = new Set(["budget", "busy", "unavailable"]);

/** @param {number} seconds */
function tryAgain(seconds) {
  return seconds < 120
    ? ngettext("Try again in {count} second.", "Try again in {count} seconds.", seconds)
    : ngettext("Try again in {count} minute.", "Try again in {count} minutes.", Math.ceil(seconds / 60));
}

let currency = "USD";

export let strings = translated();

/** Switches the language. @param {import("./gettext.js").Catalogue|null} catalogue */
export function setLanguage(catalogue) {
  setCatalogue(catalogue);
  strings = translated();
}

/** Sets the currency of the site's costs. @param {string} code ISO 4217 */
export function setCurrency(code) {
  currency = code;
}
