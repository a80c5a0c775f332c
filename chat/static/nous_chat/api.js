// HTTP requests that need an answer outside a conversation's socket. Called by nous-chat.js.

export class Refusal extends Error {
  /** @param {number} status HTTP status, 0 if there was no answer  @param {string} code  @param {string} message for people */
  constructor(status, code, message) {
    super(message);
    Object.assign(this, { status, code });
  }
}

/**
 * Begins a conversation.
 * @param {string} api base URL, ends in a slash
 * @param {string} csrf Django's token
 * @returns {Promise<object>} a Conversation
 * @throws {Refusal}
 */
export async function createConversation(api, csrf) {
  let response;
  try {
    response = await fetch(`${api}conversations/`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRFToken": csrf },
      body: "{}",
    });
  } catch {
    throw new Refusal(0, "unreachable", "");
  }
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refusal(response.status, body.code ?? "", body.message ?? "");
  return body;
}
