"""The objects inside frames and JSON responses (docs/protocol.md, "Objects"), each made from its row by `of`.

`of` makes no queries: the store selects a row together with everything that its object needs.
"""

from ...engine import Usage
from .conversations import AgentCard, AgentName, Conversation, Yours
from .documents import (
    Changes,
    Document,
    DocumentProposal,
    DocumentUpdate,
    DocumentVersion,
    OpenedDocument,
    SelectedText,
    Writing,
    WrittenLines,
    agent_of,
    find_writing,
)
from .messages import Attachment, Belongings, Edit, Feedback, Message
from .parts import (
    CallPart,
    Part,
    Section,
    TextPart,
    ThinkingPart,
    add_part,
    complete_parts,
    decode_parts,
    encode_parts,
    sections_of,
)
from .people import Invitation, Participant, Person, Role, You, person
from .runs import FAILURES, Call, Failure, Run, usage
from .search import FoundConversation, FoundDocument, FoundMessage, SearchResult

__all__ = [
    "FAILURES",
    "AgentCard",
    "AgentName",
    "Attachment",
    "Belongings",
    "Call",
    "CallPart",
    "Changes",
    "Conversation",
    "Document",
    "DocumentProposal",
    "DocumentUpdate",
    "DocumentVersion",
    "Edit",
    "Failure",
    "Feedback",
    "FoundConversation",
    "FoundDocument",
    "FoundMessage",
    "Invitation",
    "Message",
    "OpenedDocument",
    "Part",
    "Participant",
    "Person",
    "Role",
    "Run",
    "SearchResult",
    "Section",
    "SelectedText",
    "TextPart",
    "ThinkingPart",
    "Usage",
    "Writing",
    "WrittenLines",
    "You",
    "Yours",
    "add_part",
    "agent_of",
    "complete_parts",
    "decode_parts",
    "encode_parts",
    "find_writing",
    "person",
    "sections_of",
    "usage",
]
