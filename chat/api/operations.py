"""What each address of the API takes and answers: the facts behind `openapi.json`, in one table."""

from typing import Any, Literal

from msgspec import Struct

from .. import store
from ..protocol import commands, objects
from ..protocol.adapters import ag_ui, ai_sdk, completions, openai, responses
from ..protocol.errors import Refusal
from . import conversations, documents, invitations, messages, participants, search
from .command import Acknowledged


class Csrf(Struct, frozen=True):
    csrf: str
    user: str


class CommandBody(Struct, frozen=True):
    """The body of a command over HTTP: its fields, but for its `type` and for those that the address holds."""

    command: type[commands.Command]
    without: tuple[str, ...] = ()


class Operation(Struct, frozen=True):
    summary: str
    answer: Any = None
    """The type of the answer; None for an empty one."""
    status: int = 200
    body: Any = None
    """The type of the request's body, or a CommandBody; None for none."""
    query: dict[str, dict[str, Any]] = {}
    """The parameters of the query string, and the schema of each."""

    media: Literal["json", "stream", "json or stream", "events", "file"] = "json"
    """Of the answer. A stream has frames, events are those of another protocol."""
    nothing: str = ""
    """What the answer 204 says, of a request that has one besides."""

    refusal: Any = Refusal
    """The type of the body of its refusals."""
    form: bool = False
    """Whether the body is a multipart form with a file."""


PARAMETERS: dict[str, tuple[str, ...]] = {
    "attachment": ("attachment_id",),
    "api-token": (),
    "api-search": (),
    "api-models": (),
    "api-completions": (),
    "api-responses": (),
    "api-ag-ui": ("agent",),
    "api-ai-sdk": ("agent",),
    "api-ai-sdk-stream": ("agent", "chat_id"),
    "api-ai-sdk-stop": ("agent", "chat_id"),
    "api-conversations": (),
    "api-inbox-stream": (),
    "api-participant": ("conversation_id", "participant_id"),
    "api-invitation": ("conversation_id", "invitation_id"),
    "api-message": ("conversation_id", "message_id"),
    "api-message-restore": ("conversation_id", "message_id"),
    "api-message-choose": ("conversation_id", "message_id"),
    "api-feedback": ("conversation_id", "message_id"),
    "api-edits": ("conversation_id", "message_id"),
    "api-run-stop": ("conversation_id", "run_id"),
    "api-document-in": ("conversation_id", "document_id"),
    "api-document-undelete": ("conversation_id", "document_id"),
    "api-document-push": ("conversation_id", "document_id"),
    "api-document-take-over": ("conversation_id", "document_id"),
    "api-document-name": ("conversation_id", "document_id"),
    "api-document-restore": ("conversation_id", "document_id"),
    "api-document-resolve": ("conversation_id", "document_id", "proposal_id"),
    "api-document": ("document_id",),
    "api-document-updates": ("document_id",),
    "api-document-versions": ("document_id",),
    "api-document-blame": ("document_id",),
    "api-document-download": ("document_id",),
    "api-document-proposals": ("document_id",),
    "api-decide": ("conversation_id", "call_id"),
}
"""The parameters of the addresses, by their names in chat/urls.py; all others have `conversation_id` alone."""

_ONE = ("message",)

_TIME = {"type": "string", "anyOf": [{"format": "date-time"}, {"maxLength": 0}]}
"""An empty one counts as none, as the page sends it."""


def _number(most: int, least: int = 1) -> dict[str, Any]:
    return {"type": "integer", "minimum": least, "maximum": most}


_THIS = ("document",)
_VERSION = _number(documents.MAX_VERSION, least=0)

OPERATIONS: dict[tuple[str, str], Operation] = {
    ("api-conversations", "GET"): Operation("List conversations", conversations.Conversations, query={"before": _TIME}),
    ("api-conversations", "POST"): Operation(
        "Create a conversation", objects.Conversation, 201, conversations.NewConversation
    ),
    ("api-conversation", "GET"): Operation("Get a conversation", objects.Conversation),
    ("api-conversation", "PATCH"): Operation(
        "Change a conversation", objects.Conversation, body=store.ConversationChanges
    ),
    ("api-conversation", "DELETE"): Operation("Delete a conversation", status=204),
    ("api-restore", "POST"): Operation("Restore a conversation", objects.Conversation),
    ("api-fork", "POST"): Operation("Copy a conversation", objects.Conversation, 201, conversations.Fork),
    ("api-stream", "GET"): Operation("Follow a conversation", media="stream"),
    ("api-inbox-stream", "GET"): Operation("Follow the list of conversations", media="stream"),
    ("api-messages", "GET"): Operation(
        "List messages",
        messages.Messages,
        query={"before": _number(messages.MAX_SEQ), "limit": _number(messages.MAX_PAGE)},
    ),
    ("api-messages", "POST"): Operation("Post a message", Acknowledged, 201, CommandBody(commands.MessageSend)),
    ("api-message", "PATCH"): Operation("Edit a message", Acknowledged, body=CommandBody(commands.MessageEdit, _ONE)),
    ("api-message", "DELETE"): Operation("Delete a message", Acknowledged),
    ("api-message-restore", "POST"): Operation("Restore a message", Acknowledged),
    ("api-message-choose", "POST"): Operation("Choose an alternative answer", Acknowledged),
    ("api-edits", "GET"): Operation("List earlier versions of a message", messages.Edits),
    ("api-feedback", "GET"): Operation("Find your feedback on an answer", messages.YourFeedback),
    ("api-feedback", "PUT"): Operation("Rate an answer", objects.Feedback, body=store.NewFeedback),
    ("api-feedback", "DELETE"): Operation("Withdraw your feedback on an answer", status=204),
    ("api-read", "POST"): Operation("Mark messages as read", Acknowledged, body=CommandBody(commands.Read)),
    ("api-runs", "POST"): Operation(
        "Ask an agent, for another answer or the rest of one", Acknowledged, 201, CommandBody(commands.RunStart)
    ),
    ("api-run-stop", "POST"): Operation("Stop a run", Acknowledged),
    ("api-decide", "POST"): Operation(
        "Approve or reject a tool call", Acknowledged, body=CommandBody(commands.ToolDecide, ("call",))
    ),
    ("api-participants", "GET"): Operation("List participants", participants.Participants),
    ("api-participants", "POST"): Operation("Add a participant", objects.Participant, 201, participants.NewParticipant),
    ("api-participant", "PATCH"): Operation("Change a role", objects.Participant, body=participants.NewRole),
    ("api-participant", "DELETE"): Operation("Remove a participant, or leave", status=204),
    ("api-invitations", "GET"): Operation("List invitation links", invitations.Invitations),
    ("api-invitations", "POST"): Operation(
        "Create an invitation link", objects.Invitation, 201, invitations.NewInvitation
    ),
    ("api-invitation", "DELETE"): Operation("Revoke an invitation link", status=204),
    ("api-attachments", "POST"): Operation("Upload a file", objects.Attachment, 201, form=True),
    ("attachment", "GET"): Operation("Download a file", media="file"),
    ("attachment", "DELETE"): Operation("Delete an unsent file", status=204),
    ("api-documents", "GET"): Operation("List documents", documents.Documents),
    ("api-documents", "POST"): Operation("Create a document", objects.Document, 201, store.NewDocument),
    ("api-document-in", "PATCH"): Operation(
        "Change a document's title, kind, or language", Acknowledged, body=CommandBody(commands.DocumentUpdate, _THIS)
    ),
    ("api-document-in", "DELETE"): Operation("Delete a document", Acknowledged),
    ("api-document-undelete", "POST"): Operation("Restore a deleted document", Acknowledged),
    ("api-document-push", "POST"): Operation(
        "Change a document's text", Acknowledged, body=CommandBody(commands.DocumentPush, _THIS)
    ),
    ("api-document-name", "POST"): Operation(
        "Name a version of a document", Acknowledged, body=CommandBody(commands.DocumentName, _THIS)
    ),
    ("api-document-restore", "POST"): Operation(
        "Restore a version of a document", Acknowledged, body=CommandBody(commands.DocumentRestore, _THIS)
    ),
    ("api-document-resolve", "POST"): Operation("Remove a proposal that you have decided on", Acknowledged),
    ("api-document-take-over", "POST"): Operation(
        "Take over what an agent is writing", Acknowledged, body=CommandBody(commands.DocumentTakeOver, _THIS)
    ),
    ("api-document", "GET"): Operation(
        "Get a document with its text", objects.OpenedDocument, query={"version": _VERSION}
    ),
    ("api-document-updates", "GET"): Operation(
        "List the changes of a document", store.DocumentUpdates, query={"since": _VERSION}
    ),
    ("api-document-versions", "GET"): Operation(
        "List the versions of a document", store.DocumentVersions, query={"until": _VERSION}
    ),
    ("api-document-blame", "GET"): Operation("Find who wrote which line", store.Blame, query={"version": _VERSION}),
    ("api-document-download", "GET"): Operation("Download a document", media="file", query={"version": _VERSION}),
    ("api-document-proposals", "GET"): Operation("List proposed changes of a document", documents.Proposals),
    ("api-search", "GET"): Operation(
        "Search", store.SearchResults, query={"q": {"type": "string"}, "before": _number(search.MAX_ID)}
    ),
    ("api-models", "GET"): Operation("List agents as OpenAI's models", openai.Models, refusal=openai.ErrorBody),
    ("api-completions", "POST"): Operation(
        "Ask an agent as OpenAI's chat completions do",
        completions.Completion,
        body=completions.CompletionRequest,
        refusal=openai.ErrorBody,
        media="json or stream",
    ),
    ("api-responses", "POST"): Operation(
        "Ask an agent as OpenAI's responses do",
        responses.Response,
        body=responses.ResponseRequest,
        refusal=openai.ErrorBody,
        media="json or stream",
    ),
    ("api-ai-sdk", "POST"): Operation("Ask an agent as the AI SDK does", body=ai_sdk.ChatRequest, media="events"),
    ("api-ai-sdk-stream", "GET"): Operation(
        "Resume an answer as the AI SDK does", media="events", nothing="No answer is being written."
    ),
    ("api-ai-sdk-stop", "POST"): Operation("Stop the answer of an AI SDK chat", status=204),
    ("api-ag-ui", "POST"): Operation("Ask an agent as AG-UI does", body=ag_ui.RunInput, media="events"),
    ("api-token", "GET"): Operation("Get a CSRF token", Csrf),
}
"""By the name in chat/urls.py, and the method. A test compares it with the table of authorization."""
