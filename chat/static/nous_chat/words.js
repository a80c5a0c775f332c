// Every word the page says, and how it writes numbers and times. Called by the views.
// A translation replaces this file's strings; nothing else in the page holds a sentence.

const LANGUAGE = "en";
const integer = new Intl.NumberFormat(LANGUAGE);
const decimal = new Intl.NumberFormat(LANGUAGE, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const calendar = new Intl.DateTimeFormat(undefined, {
  day: "numeric", month: "long", year: "numeric", hour: "numeric", minute: "2-digit",
});

const plural = (count, one, many) => `${integer.format(count)} ${count === 1 ? one : many}`;

export const words = {
  conversations: "Conversations",
  newConversation: "New conversation",
  untitled: "New conversation",
  answering: "answering",
  messages: "Messages",
  message: "Message",
  placeholder: (agent) => `Message ${agent}`,
  send: "Send",
  stop: "Stop",
  retry: "Retry",
  dismiss: "Dismiss",
  earlier: "Earlier messages",
  toEnd: "To the end",
  unseen: (count) => `${integer.format(count)} new`,
  you: "You",
  somebody: "Somebody",
  assistant: "Assistant",
  system: "Note",
  unsent: "Not sent yet",
  thinking: "Thinking",
  thought: "Thoughts",
  greeting: "What can I help with?",
  starters: "Write below, or start with one of these.",
  readOnly: "You can read this conversation, but not write in it.",

  typing: (names) => {
    if (names.length === 1) return `${names[0]} is typing`;
    if (names.length === 2) return `${names[0]} and ${names[1]} are typing`;
    return "Several people are typing";
  },

  // What an answer cost, in one line.
  tokens: (count) => plural(count, "token", "tokens"),
  atLeastTokens: (count) => `${integer.format(count)}+ tokens`,
  totalHint: "Tokens used by the answers loaded here",
  usage: (input, output, total) =>
    [
      input === null ? null : `${integer.format(input)} in`,
      output === null ? null : `${integer.format(output)} out`,
      total === null ? null : plural(total, "token", "tokens"),
    ].filter(Boolean).join(", "),
  seconds: (value) => (value < 60 ? `${decimal.format(value)}\u00a0s` : `${Math.floor(value / 60)}\u00a0min ${Math.floor(value % 60)}\u00a0s`),
  time: (iso) => clock.format(new Date(iso)),
  date: (iso) => calendar.format(new Date(iso)),

  // Tools, and the approval that some of them need.
  call: {
    running: (tool) => `Using ${tool} …`,
    done: (tool) => `Used ${tool}`,
    failed: (tool) => `${tool} failed`,
    rejected: (tool) => `${tool} rejected`,
    stopped: (tool) => `${tool} stopped`,
  },
  approvedBy: (name) => `approved by ${name}`,
  rejectedBy: (tool, name) => `${tool} rejected by ${name}`,
  arguments: "Arguments",
  unreadable: "The model wrote none that can be read",
  result: "Result",
  emptyResult: "Empty",
  /** `send_email` and `sendEmail` as "Send email". */
  plainly: (tool) => {
    const spaced = tool.replace(/(\p{Ll})(\p{Lu})/gu, "$1 $2").replace(/[\s_.-]+/g, " ").trim();
    const plain = spaced.toLowerCase() || tool;
    return plain.charAt(0).toUpperCase() + plain.slice(1);
  },
  approvalNeeded: (action) => `Approval needed: ${action}.`,
  happened: (what, decided) => (decided ? `${what}, ${decided}.` : `${what}.`),
  asks: (agent, tool) => `${agent} wants to use ${tool}. Nothing happens until it is approved.`,
  approve: "Approve",
  reject: "Reject",
  reason: "Reason for rejecting (optional)",
  reasonHint: "Reason (optional)",
  notJson: (line) => `This is not JSON${line ? `: see line ${line}` : ""}. Correct it, or reject.`,
  notObject: "The arguments have to be one JSON object, between { and }.",
  onlyWriters: "Somebody who can write here has to decide.",

  // How an answer ended.
  stoppedByYou: "You stopped this answer.",
  stoppedBy: (name) => `${name} stopped this answer.`,
  stopped: "This answer was stopped.",
  failed: "This answer could not be finished.",
  interrupted: "The server stopped while it was writing this answer. What had arrived is kept.",
  stoppedBefore: "The answer was stopped before it began.",
  failedBefore: "The answer could not be started.",
  unanswered: "The last message has no answer yet.",

  // The connection.
  reconnecting: "The connection was lost. Reconnecting now.",
  reconnectingIn: (seconds) => `The connection was lost. Reconnecting in ${seconds} s.`,
  restarting: "The server is restarting. Reconnecting now.",
  restartingIn: (seconds) => `The server is restarting. Reconnecting in ${seconds} s.`,
  offline: "You are offline. What you write is kept and sent when you are back.",
  crowded: (seconds) => `There are too many connections at the moment. The next try is in ${seconds} s.`,
  signedOut: "You are signed out. What you wrote is kept.",
  signIn: "Sign in",
  removed: "You are not in this conversation any more.",
  missing: "This conversation does not exist, or it is not yours.",
  reconnectNow: "Reconnect now",
  connected: "Connected again.",
  retryAfter: (seconds) => `Try again in ${plural(Math.ceil(seconds), "second", "seconds")}.`,
  unreachable: "The server could not be reached.",

  // For screen readers.
  answerStarted: (agent) => `${agent} is answering.`,
  answerComplete: "Answer complete.",
  said: (name, text) => `${name}: ${text}`,
};
