"""The tables, one module per subject. Import models from here. Only `store` writes to them."""

from .conversations import Conversation, Invitation, Participant, Removal
from .documents import Document, DocumentUpdate
from .guests import Guest
from .messages import Attachment, Edit, Message, attachment_storage
from .runs import Run, ToolCall
from .search import Passage
from .tokens import ApiToken
from .usage import Spending

__all__ = [
    "ApiToken",
    "Attachment",
    "Conversation",
    "Document",
    "DocumentUpdate",
    "Edit",
    "Guest",
    "Invitation",
    "Message",
    "Participant",
    "Passage",
    "Removal",
    "Run",
    "Spending",
    "ToolCall",
    "attachment_storage",
]
