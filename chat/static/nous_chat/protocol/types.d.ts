// Types of docs/protocol.md for the type checker: the objects, the events and the commands of a conversation, and the
// state that reducer.js keeps. The Python side is chat/protocol/. Nothing imports this file when the page runs.

export type Role = "owner" | "member" | "viewer";
export type RunStatus =
  | "queued"
  | "running"
  | "awaiting_approval"
  | "completed"
  | "stopped"
  | "failed"
  | "interrupted";

export interface Person {
  id: string;
  name: string;
  picture?: string;
}
export interface You extends Person {
  role: Role;
  staff: boolean;
}
export interface Participant {
  id: string;
  user: Person;
  role: Role;
  joined_at: string;
}
export interface AgentName {
  slug: string;
  name: string;
  picture?: string;
}
export interface AgentCard extends AgentName {
  description?: string;
  model: string;
  starters: string[];
}
export interface Usage {
  input_tokens: number | null;
  output_tokens: number | null;
  total_tokens: number | null;
}
export interface Failure {
  code: string;
  message: string;
  retry_after: number | null;
}
/** A run as far as the page knows it: of a queued one, no more than the first fields. */
export interface Run {
  id: string;
  status: RunStatus;
  seq: number;
  message: string | null;
  agent: AgentName | null;
  place?: number | null;
  model?: string;
  launched_by?: Person | null;
  usage?: Usage | null;
  tokens?: number | null;
  cost?: string | null;
  finish_reason?: string | null;
  cut_off?: boolean;
  error?: Failure | null;
  stopped_by?: Person | null;
  created_at?: string;
  started_at?: string | null;
  finished_at?: string | null;
  retry_in?: number | null;
}
export interface Call {
  id: string;
  name: string;
  arguments: object | null;
  status: "running" | "awaiting_approval" | "done" | "failed" | "rejected" | "stopped";
  result: string | null;
  expires_at: string | null;
  decided_by: Person | null;
}
export type Part = { type: "text" | "thinking"; length: number } | { type: "call"; call: string };
export interface Attachment {
  id: string;
  name: string;
  size: number;
  url: string;
  image: boolean;
}
/** A message. `id` is null until the server has it: an unsent message of the user, or the empty answer of a new run. */
export interface Message {
  id: string | null;
  seq: number;
  role: "user" | "assistant" | "system";
  text: string;
  thinking: string;
  author: Person | null;
  client_id: string | null;
  reply_to: string | null;
  selection?: SelectedText | null;
  replaces: string | null;
  created_at: string | null;
  edited_at: string | null;
  deleted_at: string | null;
  deleted_by?: Person | null;
  calls: Call[];
  parts: Part[];
  continues?: boolean;
  attachments: Attachment[];
  alternatives: string[];
  shown?: boolean;
  run: Run | null;
  unsent?: boolean;
}
export interface Edit {
  text: string;
  edited_by: Person | null;
  edited_at: string;
  /** Those to this text that are hidden now. */
  answers: Message[];
}
export interface Yours {
  role: Role | null;
  unread: number;
  last_read: number;
  pinned: boolean;
  archived: boolean;
}
export type Answers = "always" | "mention" | "off";
export type Mode = "interrupt" | "queue";
export interface Conversation {
  id: string;
  title: string;
  agent: AgentCard;
  agents: AgentCard[];
  answers: Answers;
  mode: Mode;
  last_seq: number;
  running: boolean;
  answering: AgentName | null;
  awaiting_approval: boolean;
  listed: boolean;
  url: string;
  object_url: string;
  updated_at: string;
  yours: Yours | null;
}
export interface Invitation {
  id: string;
  url: string;
  role: Role;
  expires_at: string | null;
  max_uses: number | null;
  uses: number;
}
export interface SearchResult {
  id: number;
  conversation: { id: string; title: string };
  message: { id: string; author: Person | null; created_at: string } | null;
  document?: { id: string; title: string; kind: DocumentKind } | null;
  excerpt: string;
  matches: [number, number][];
}

/** Where in a conversation to go. */
export interface Place {
  message?: string;
  document?: string;
}

export type DocumentKind = "markdown" | "code" | "csv" | "html" | "svg" | "mermaid";
/** A change set in the JSON form of CodeMirror. */
export type Changes = (number | [number, ...string[]])[];
export interface Document {
  id: string;
  conversation: string;
  kind: DocumentKind;
  language: string;
  title: string;
  version: number;
  created_by: Person | null;
  created_at: string;
  updated_at: string;
  writing: Writing | null;
}
/** What an agent is writing: `from..at` is new, `at..to` will be replaced; UTF-16 units at the version it comes with. */
export interface Writing {
  run: string;
  agent: AgentName;
  from: number;
  at: number;
  to: number;
}
export interface OpenedDocument extends Document {
  text: string;
}
export interface DocumentUpdate {
  version: number;
  changes: Changes;
  author: Person | null;
  run: string | null;
  client_id: string | null;
  created_at: string;
}
/** What one author or one run did without a long pause, by the updates after `since` up to `version`. */
export interface DocumentVersion {
  version: number;
  since: number;
  author: Person | null;
  agent: AgentName | null;
  run: string | null;
  created_at: string;
  name: string;
}
/** Lines from `first` on (the first line is 1), and the update that wrote in them last; nulls if that was long ago. */
export interface WrittenLines {
  first: number;
  count: number;
  version: number | null;
  author: Person | null;
  agent: AgentName | null;
  run: string | null;
  created_at: string | null;
}
export interface DocumentProposal {
  id: string;
  document: string;
  version: number;
  changes: Changes;
  agent: AgentName | null;
  run: string | null;
  created_at: string;
}
/** The part of a document that a message is about, in UTF-16 units at that version. */
export interface Selection {
  document: string;
  version: number;
  from: number;
  to: number;
}

/** A command on a document. */
export type DocumentCommand =
  | {
      type: "document.create";
      title: string;
      kind?: DocumentKind;
      language?: string;
      text?: string;
      client_id?: string;
      ref: string;
    }
  | {
      type: "document.update";
      document: string;
      title?: string;
      kind?: DocumentKind;
      language?: string;
      ref: string;
    }
  | { type: "document.delete" | "document.undelete" | "document.take_over"; document: string; ref: string }
  | {
      type: "document.push";
      document: string;
      version: number;
      changes: Changes;
      client_id?: string;
      rebase?: boolean;
      ref: string;
    }
  | { type: "document.sync" | "document.restore"; document: string; version: number; ref: string }
  | { type: "document.name"; document: string; version: number; name: string; ref: string }
  | { type: "document.select"; document: string; version: number; anchor: number | null; head: number | null }
  | { type: "document.resolve"; document: string; proposal: string; ref: string };
/** An event about the documents of a conversation. */
export type DocumentEvent =
  | { type: "document.created" | "document.updated"; document: Document }
  | { type: "document.deleted"; document: string }
  | ({ type: "document.changed"; document: string; writing: Writing | null } & Omit<DocumentUpdate, "created_at">)
  | {
      type: "document.updates";
      document: string;
      updates: DocumentUpdate[];
      more: boolean;
      writing: Writing | null;
      ref: string | null;
    }
  | { type: "document.named"; document: string; version: number; name: string }
  | {
      type: "document.selection";
      document: string;
      version: number;
      user: Person;
      anchor: number | null;
      head: number | null;
    }
  | { type: "document.proposed"; document: string; proposal: DocumentProposal }
  | { type: "document.resolved"; document: string; proposal: string };

/** The same with the document's title and the text, or its beginning, as a message shows it. */
export interface SelectedText extends Selection {
  title: string;
  text: string;
}

/** What a user writes, before it is a command: the attachments have been uploaded. */
export interface Draft {
  text: string;
  reply_to: string | null;
  attachments: Attachment[];
}

export type Decision = { decision: "approve"; arguments?: object } | { decision: "reject"; reason?: string };

/** A command. The outbox keeps attachments whole; the wire names them by their ids. */
export type Command =
  | MessageSend
  | { type: "message.edit"; message: string; text: string; resend?: boolean; ref: string }
  | { type: "message.delete" | "message.restore" | "message.choose"; message: string; ref: string }
  | { type: "run.start"; message?: string; continue?: boolean; ref: string }
  | { type: "run.stop" | "run.sync"; run: string; ref: string }
  | { type: "run.ack"; run: string; seq: number }
  | ({ type: "tool.decide"; call: string; ref: string } & Decision)
  | { type: "typing"; on: boolean }
  | { type: "history.load"; before: number; limit?: number; ref: string }
  | { type: "read"; seq: number; ref: string }
  | DocumentCommand
  | { type: "ping" };
export interface MessageSend {
  type: "message.send";
  client_id: string;
  text: string;
  ref: string;
  mode?: Mode;
  reply_to?: string | null;
  attachments?: Attachment[];
  /** Slug. */
  agent?: string;
  selection?: Selection;
}

export interface ConversationSnapshot {
  type: "snapshot";
  you: You;
  conversation: Conversation;
  participants: Participant[];
  messages: Message[];
  more: boolean;
  runs: Run[];
  documents: Document[];
}
export type RunDelta = { type: "run.delta"; run: string; seq: number; text?: string; thinking?: string };
export type RunTool = { type: "run.tool"; run: string; seq: number; call: Call };
export type ErrorEvent = {
  type: "error";
  ref: string | null;
  code: string;
  message: string;
  retry_after: number | null;
};
export type Ack = {
  type: "ack";
  ref: string | null;
  client_id?: string | null;
  run?: string | null;
  document?: string | null;
};
/** An event of the socket of a conversation. */
export type WireEvent =
  | ConversationSnapshot
  | { type: "message.created" | "message.updated" | "message.deleted"; message: Message }
  | { type: "run.queued"; run: string; place: number }
  | { type: "run.started"; run: string; message: Message }
  | RunDelta
  | RunTool
  | { type: "run.waiting"; run: string; retry_in: number; at: number }
  | { type: "run.fallback"; run: string; model: string }
  | { type: "run.state"; run: string; seq: number; message: Message | null; at: number }
  | { type: "run.finished"; run: string; status: RunStatus; message: Message | null; error: Failure | null }
  | { type: "typing"; user: Person; on: boolean }
  | { type: "participant.joined" | "participant.updated" | "participant.left"; participant: Participant }
  | { type: "presence"; host: string; people: Person[]; at: number }
  | { type: "notice"; code: string; message: string }
  | { type: "conversation.updated"; conversation: Conversation }
  | { type: "conversation.state"; last_seq: number; run: string | null }
  | { type: "history.page"; messages: Message[]; more: boolean; ref: string | null }
  | DocumentEvent
  | Ack
  | ErrorEvent;
/** An event that the page itself makes; it never crosses the wire. */
export type LocalEvent =
  | ({ type: "local.message"; client_id: string; created_at: string } & Draft)
  | { type: "local.refused"; client_id: string }
  | { type: "local.decision"; call: string; refusal: string | null }
  | { type: "local.typing_expired" }
  | { type: "local.presence_expired"; now: number };
export type Event = WireEvent | LocalEvent;

/** The event of a type. */
export type EventOf<T, E = Event> = E extends { type: infer U } ? (T extends U ? E : never) : never;

/** An event of the inbox, the socket of one user's list of conversations. */
export type InboxEvent =
  | { type: "snapshot"; you: Person; conversations: Conversation[]; more: boolean }
  | { type: "conversation.updated"; conversation: Conversation }
  | { type: "conversation.removed"; conversation: string; last_seq?: number | null }
  | { type: "typing"; conversation: string; user: Person; on: boolean };

/** What the page knows about one conversation. Only `apply` of reducer.js changes it. */
export interface State {
  /** Null until the first snapshot. */
  you: You | null;
  conversation: Conversation | null;
  yours: Yours | null;
  /** By key, see `keyOf`. */
  messages: Map<string, Message>;
  /** Ids of messages that are not shown, such as an answer with another alternative chosen. */
  hidden: Set<string>;
  runs: Map<string, RunState>;
  documents: Map<string, Document>;
  /** By participant id. */
  participants: Map<string, Participant>;
  /** Who is reading, by the server process that says so; `at` is in milliseconds. */
  presence: Map<string, { people: Person[]; at: number }>;
  /** Names of the others who are typing, by user id. */
  typing: Map<string, string>;
  /** What the server says about its outages, by `database` or `layer`. */
  outages: Map<string, string>;
  /** The last seq that was read when the user arrived; null if nothing was unread. */
  unread: number | null;
  /** True if there are older messages than those loaded. */
  more: boolean;
  /** The highest message seq seen. */
  lastSeq: number;
  /** True while a page that fills a gap between messages is requested. */
  fillingGap: boolean;
  /** Set if the newest message got no answer; `status` and `error` are those of its run. */
  unanswered: { status: RunStatus | null; error?: Failure | null } | null;
  /** The user's decisions by call: null while one is being sent, a sentence if it was refused. */
  decisions: Map<string, string | null>;
}
export interface RunState {
  status: RunStatus;
  /** The newest frame that is in the message's text. */
  seq: number;
  /** Key of its message. */
  key: string | null;
  /** True after a lost frame: deltas are ignored until `run.state` comes. */
  outOfSync: boolean;
  /** When the model is asked again, in milliseconds, if it is busy. */
  retryAt: number | null;
  /** Whether another model answers, because the agent's own does not. */
  fellBack: boolean;
}
export type Change =
  /** A message is new, changed as a whole, or gone. */
  | { type: "message"; key: string }
  | { type: "append"; key: string; part: "text" | "thinking"; text: string }
  /** The protocol asks for this command. */
  | { type: "send"; command: Command }
  | { type: "conversation" }
  /** The list of documents, or something of one of them other than its text. */
  | { type: "documents" }
  /** Who is in the conversation, or reading it, has changed. */
  | { type: "people" }
  /** Older messages may be requested again. */
  | { type: "history" };
