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
  toEnd: _("To the end"),
  /** @param {number} count */
  unseen: (count) => ngettext("{count} new", "{count} new", count),
  you: _("You"),
  somebody: _("Somebody"),
  assistant: _("Assistant"),
  system: _("Note"),
  unsent: _("Not sent yet"),
  edited: _("edited"),
  thinking: _("Thinking"),
  thought: _("Thoughts"),
  greeting: _("What can I help with?"),
  starters: _("Write below, or start with one of these."),
  readOnly: _("You can read this conversation, but not write in it."),

  /** @param {string[]} names */
  typing: (names) => {
    if (names.length === 1) return _("{name} is typing", { name: names[0] });
    if (names.length === 2) return _("{one} and {other} are typing", { one: names[0], other: names[1] });
    return _("Several people are typing");
  },

  // What can be done with a message.
  actions: _("Actions"),
  action: {
    copy: _("Copy"),
    retry: _("Retry"),
    reply: _("Reply"),
    edit: _("Edit"),
    fork: _("Branch off from here"),
    delete: _("Delete"),
  },
  editMessage: _("Edit the message"),
  save: _("Save"),
  resend: _("Save and ask again"),
  emptyEdit: _("A message needs a text. To take it away, delete it."),
  deletedMessage: _("This message was deleted."),
  editHistory: _("Before it was edited"),
  /** @param {string} time  @param {string} name */
  versionUntil: (time, name) => _("Until {time}, edited by {name}", { time, name }),
  inReplyTo: _("In reply to"),
  earlierMessage: _("An earlier message"),
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

  // Writing.
  mention: _("Mention"),
  attach: _("Attach files"),
  attachments: _("Files"),
  /** @param {string} name */
  removeFile: (name) => _("Remove {name}", { name }),
  /** @param {string} name */
  uploading: (name) => _("{name} is being sent", { name }),
  pasted: _("Pasted file"),
  fileGone: _("It is gone: what is not sent is kept for a day. Attach it again."),
  dropHere: _("Drop files here to attach them"),
  /** @param {number} bytes */
  size: (bytes) => {
    if (bytes < 1000) return ngettext("{count} byte", "{count} bytes", bytes);
    if (bytes < 1_000_000) return _("{size}\u00a0KB", { size: integer(Math.round(bytes / 1000)) });
    return _("{size}\u00a0MB", { size: decimal(bytes / 1_000_000) });
  },
  /** @param {string} name  @param {string} text */
  replyingTo: (name, text) =>
    name ? _("Replying to {name}: {text}", { name, text }) : _("Replying to: {text}", { text }),
  noReply: _("Do not reply to it"),
  interrupts: _("Sending stops the answer."),
  queueInstead: _("Wait for its end instead"),
  queues: _("It is sent now and answered after this one."),
  interruptInstead: _("Stop the answer instead"),
  /** @param {string} agent */
  placeholderMention: (agent) => _("Message everyone; @{agent} answers when asked", { agent }),
  placeholderOff: _("Message everyone"),

  // What goes on.
  doing: {
    /** @param {string} agent */
    starts: (agent) => _("{agent} is about to answer", { agent }),
    /** @param {string} agent  @param {number} place */
    queued: (agent, place) => _("{agent} waits for its turn, {place}", { agent, place: placeInLine(place) }),
    /** @param {string} agent */
    thinks: (agent) => _("{agent} is thinking", { agent }),
    /** @param {string} agent */
    writes: (agent) => _("{agent} is writing", { agent }),
    /** @param {string} agent  @param {string} tool */
    uses: (agent, tool) => _("{agent} is using {tool}", { agent, tool }),
    /** @param {string} agent */
    asks: (agent) => _("{agent} waits for an approval", { agent }),
    /** @param {string} agent  @param {number} seconds */
    slow: (agent, seconds) =>
      ngettext(
        "{agent}: nothing from the model for {count} second",
        "{agent}: nothing from the model for {count} seconds",
        seconds,
        { agent },
      ),
  },
  /** @param {number} place */
  place: (place) => placeInLine(place),

  // What an answer cost, in one line.
  /** @param {number} count */
  tokens: (count) => ngettext("{count} token", "{count} tokens", count),
  /** @param {number} count */
  atLeastTokens: (count) => _("{count}+ tokens", { count: integer(count) }),
  totalHint: _("Tokens used by the answers loaded here"),
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

  // Tools, and the approval that some of them need.
  call: {
    /** @param {string} tool */
    running: (tool) => _("Using {tool} …", { tool }),
    /** @param {string} tool */
    done: (tool) => _("Used {tool}", { tool }),
    /** @param {string} tool */
    failed: (tool) => _("{tool} failed", { tool }),
    /** @param {string} tool */
    rejected: (tool) => _("{tool} rejected", { tool }),
    /** @param {string} tool */
    stopped: (tool) => _("{tool} stopped", { tool }),
  },
  /** @param {string} name */
  approvedBy: (name) => _("approved by {name}", { name }),
  /** @param {string} tool  @param {string} name */
  rejectedBy: (tool, name) => _("{tool} rejected by {name}", { tool, name }),
  arguments: _("Arguments"),
  unreadable: _("The model wrote none that can be read"),
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
  asks: (agent, tool) => _("{agent} wants to use {tool}. Nothing happens until it is approved.", { agent, tool }),
  approve: _("Approve"),
  reject: _("Reject"),
  reason: _("Reason for rejecting (optional)"),
  reasonHint: _("Reason (optional)"),
  /** @param {string|undefined} line */
  notJson: (line) =>
    line
      ? _("This is not JSON: see line {line}. Correct it, or reject.", { line })
      : _("This is not JSON. Correct it, or reject."),
  notObject: _("The arguments have to be one JSON object, between { and }."),
  /** @param {string|null} name */
  whoDecides: (name) => (name ? _("{name} or an owner has to decide.", { name }) : _("An owner has to decide.")),
  /** @param {string} iso */
  decideUntil: (iso) => _("It can be decided until {time}.", { time: dateOf(iso) }),

  // What stands in an answer.
  /** @param {string} language */
  code: (language) => (language ? _("Code, {language}", { language }) : _("Code")),
  wrap: _("Wrap"),
  copy: _("Copy"),
  copied: _("Copied"),
  /** @param {number} count */
  unfold: (count) => ngettext("Show all of {count} line", "Show all {count} lines", count),
  table: _("Table"),
  formula: _("Formula"),
  done: _("Done"),
  toDo: _("To do"),
  /** @param {string} alt */
  image: (alt) => _("Picture: {alt}", { alt }),
  diagram: _("Diagram"),
  /** @param {string} source */
  diagramOf: (source) => _("Diagram of: {source}", { source }),
  drawing: _("Drawing …"),
  noDiagram: _("This diagram could not be drawn."),

  // How an answer ended.
  /** @param {string|null} name  @param {number|null} tokens */
  stoppedBy: (name, tokens) => {
    if (tokens === null) return name ? _("Stopped by {name}.", { name }) : _("Stopped by you.");
    return name
      ? ngettext("Stopped by {name}, after {count} token.", "Stopped by {name}, after {count} tokens.", tokens, {
          name,
        })
      : ngettext("Stopped by you, after {count} token.", "Stopped by you, after {count} tokens.", tokens);
  },
  ended: {
    stopped: _("This answer was stopped."),
    failed: _("This answer could not be finished."),
    interrupted: _("The server stopped while it was writing this answer. What had arrived is kept."),
  },
  cut: _("The answer is cut here: it was as long as the model may write at once."),
  filtered: _("The provider's filter cut this answer."),
  continue: _("Continue"),
  stoppedBefore: _("The answer was stopped before it began."),
  failedBefore: _("The answer could not be started."),
  unanswered: _("The last message has no answer yet."),

  // The connection.
  reconnecting: _("The connection was lost. Reconnecting now."),
  /** @param {number} seconds */
  reconnectingIn: (seconds) => _("The connection was lost. Reconnecting in {seconds} s.", { seconds }),
  restarting: _("The server is restarting. Reconnecting now."),
  /** @param {number} seconds */
  restartingIn: (seconds) => _("The server is restarting. Reconnecting in {seconds} s.", { seconds }),
  offline: _("You are offline. What you write is kept and sent when you are back."),
  /** @param {number} seconds */
  crowded: (seconds) => _("There are too many connections at the moment. The next try is in {seconds} s.", { seconds }),
  tooSlow: _("This page could not keep up. Reconnecting, nothing is lost."),
  signedOut: _("You are signed out. What you wrote is kept."),
  signIn: _("Sign in"),
  removed: _("You are not in this conversation any more."),
  missing: _("This conversation does not exist, or it is not yours."),
  reconnectNow: _("Reconnect now"),
  connected: _("Connected again."),
  /** Why something was refused or failed, and when to try again; of a budget the sentence says so itself.  @param {Pick<Failure, "code"|"message"|"retry_after">} failure */
  refused: ({ code, message, retry_after: seconds }) =>
    !seconds || code === "budget"
      ? message
      : `${message} ${ngettext("Try again in {count} second.", "Try again in {count} seconds.", Math.ceil(seconds))}`,
  unreachable: _("The server could not be reached."),

  // The list of conversations, and what can be done there.
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
  unarchive: _("Take out of the archive"),
  delete: _("Delete"),
  undo: _("Undo"),
  wasArchived: _("The conversation is in the archive now."),
  wasDeleted: _("The conversation is deleted, for everybody in it."),
  close: _("Close"),
  cancel: _("Cancel"),
  search: _("Search"),
  clear: _("Clear the search"),
  results: _("What was found"),
  /** @param {number} count  @param {boolean} more */
  resultCount: (count, more) => {
    if (count === 0) return _("Nothing was found.");
    return more
      ? _("{count} found, and there are more.", { count: integer(count) })
      : ngettext("{count} found.", "{count} found.", count);
  },
  moreResults: _("More"),
  switchTo: _("Switch to a conversation"),
  theme: _("Theme"),
  themes: { system: _("As the system"), light: _("Light"), dark: _("Dark") },
  shortcutsTitle: _("Keys"),
  shortcuts: /** @type {[string[], string][]} */ ([
    [[_("Enter")], _("Send the message")],
    [[_("Shift"), _("Enter")], _("Begin a new line")],
    [[_("Esc")], _("Stop the answer")],
    [["↑"], _("Edit your last message, where nothing is written yet")],
    [[_("Ctrl"), "K"], _("Switch to another conversation")],
    [["?"], _("Show these keys")],
  ]),

  // The panel beside the conversation.
  panel: _("People and settings"),
  people: _("People"),
  roles: { owner: _("Owner"), member: _("Member"), viewer: _("Reader") },
  role: _("Role"),
  /** @param {string} name */
  roleOf: (name) => _("Role of {name}", { name }),
  /** @param {string} name */
  meToo: (name) => _("{name} (you)", { name }),
  here: _("here now"),
  addByName: _("Add by user name"),
  add: _("Add"),
  /** @param {string} name */
  wasAdded: (name) => _("{name} is in the conversation now.", { name }),
  leave: _("Leave"),
  leaveTitle: _("Leave this conversation?"),
  leaveText: _("To come back, you have to be added or invited again."),
  transfer: _("Hand over"),
  /** @param {string} name */
  transferTitle: (name) => _("Hand over to {name}?", { name }),
  /** @param {string} name */
  transferText: (name) => _("{name} becomes the owner, and you become a member.", { name }),
  removePerson: _("Remove"),
  /** @param {string} name */
  removeTitle: (name) => _("Remove {name}?", { name }),
  /** @param {string} name */
  removeText: (name) => _("{name} can no longer read or write here. What was said stays.", { name }),
  invitations: _("Invitation links"),
  link: _("Link"),
  validFor: _("Valid for"),
  /** @param {number} count */
  days: (count) => ngettext("{count} day", "{count} days", count),
  maximumUses: _("For how many"),
  /** @param {number} count */
  uses: (count) => ngettext("{count} person", "{count} people", count),
  createLink: _("Create a link"),
  linkCreated: _("The link is ready. Whoever has it can join."),
  linkRevoked: _("The link does not work any more."),
  copyLink: _("Copy the link"),
  linkCopied: _("Copied."),
  copyYourself: _("The link is selected. Copy it with the keyboard."),
  revoke: _("Revoke the link"),
  /** @param {string} iso */
  until: (iso) => _("until {date}", { date: dateOf(iso) }),
  /** @param {number} uses  @param {number|null} most */
  used: (uses, most) =>
    most === null
      ? _("used {uses} times", { uses: integer(uses) })
      : _("used {uses} of {most} times", { uses: integer(uses), most: integer(most) }),
  settings: _("Settings"),
  answers: _("The agent answers"),
  answersWhen: { always: _("every message"), mention: _("when it is mentioned"), off: _("never by itself") },
  mode: _("A message during an answer"),
  modes: { interrupt: _("stops it, and is answered"), queue: _("waits until it is complete") },
  agents: _("Agents"),
  oneAgent: _("One agent has to stay."),
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
