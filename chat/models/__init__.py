"""The tables, one module per subject. Import models from here. Only `store` writes to them."""

from .agents import AgentVersion, StoredAgent
from .breakers import Breaker
from .conversations import Conversation, Invitation, Participant, Removal
from .documents import Document, DocumentProposal, DocumentSnapshot, DocumentUpdate
from .guests import Guest
from .holds import Erasure, Hold, Pruning
from .inspections import Inspection, RunRecording
from .messages import Attachment, Edit, Feedback, Message, attachment_storage
from .money import Budget, Price
from .protection import held
from .runs import Run, ToolCall
from .search import Passage
from .tokens import ApiToken
from .usage import Spending

__all__ = [
    "AgentVersion",
    "ApiToken",
    "Attachment",
    "Breaker",
    "Budget",
    "Conversation",
    "Document",
    "DocumentProposal",
    "DocumentSnapshot",
    "DocumentUpdate",
    "Edit",
    "Erasure",
    "Feedback",
    "Guest",
    "Hold",
    "Inspection",
    "Invitation",
    "Message",
    "Participant",
    "Passage",
    "Price",
    "Pruning",
    "Removal",
    "Run",
    "RunRecording",
    "Spending",
    "StoredAgent",
    "ToolCall",
    "attachment_storage",
    "held",
]
