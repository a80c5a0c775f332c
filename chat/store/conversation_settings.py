"""Change a conversation: title, mode, when agents answer, which agents, and a user's own pin and archive."""

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

from django.utils.translation import gettext as _
from msgspec import UNSET, Meta, Struct, UnsetType

from ..models import Conversation, Participant
from ..permissions import policy, usable_agents
from ..protocol import objects
from ..protocol.errors import ErrorCode, Refused
from .base import get_membership, lock_membership
from .conversations import find_conversation
from .search import set_title
from .text import normalize_title
from .unit_of_work import unit_of_work

# `_check_choice` refuses other values, with a sentence that names the choices; these are for openapi.json.
_Mode = Annotated[str, Meta(extra_json_schema={"enum": Conversation.Mode.values})]
_Answers = Annotated[str, Meta(extra_json_schema={"enum": ["", *Conversation.Answers.values]})]


class ConversationChanges(Struct, frozen=True, forbid_unknown_fields=True):
    """The fields to change. `pinned` and `archived` are the user's own; the others change for everyone."""

    title: str | UnsetType = UNSET
    mode: _Mode | UnsetType = UNSET
    answers: _Answers | UnsetType | None = UNSET
    agents: list[str] | UnsetType = UNSET
    pinned: bool | UnsetType = UNSET
    archived: bool | UnsetType = UNSET

    @property
    def own(self) -> dict[str, bool]:
        given = {"pinned": self.pinned, "archived": self.archived}
        return {name: value for name, value in given.items() if not isinstance(value, UnsetType)}

    @property
    def common(self) -> bool:
        return any(value is not UNSET for value in (self.title, self.mode, self.answers, self.agents))


@unit_of_work()
def change_conversation(user_id: Any, conversation_id: UUID, changes: ConversationChanges) -> objects.Conversation:
    """Change a conversation, and return it as this user has it. Raises Refused; nothing has changed then."""
    participant = (lock_membership if changes.common else get_membership)(user_id, conversation_id)
    if changes.common:
        if not policy().can_manage(participant):
            raise Refused(ErrorCode.FORBIDDEN, _("Only a conversation owner can change this."))
        _apply(participant, changes)
    if changes.own:
        Participant.objects.filter(pk=participant.pk).update(**changes.own)
    changed = find_conversation(user_id, conversation_id)
    assert changed is not None
    return changed


def _apply(participant: Participant, changes: ConversationChanges) -> None:
    conversation = participant.conversation
    if not isinstance(changes.title, UnsetType):
        title = normalize_title(changes.title)
        set_title(conversation, title, Conversation.TitleFrom.PERSON if title else Conversation.TitleFrom.NOTHING)
    if not isinstance(changes.mode, UnsetType):
        conversation.mode = _check_choice("mode", changes.mode, Conversation.Mode.values)
    if not isinstance(changes.answers, UnsetType):
        conversation.answers = _check_choice("answers", changes.answers or "", ["", *Conversation.Answers.values])
    if not isinstance(changes.agents, UnsetType):
        slugs = list(dict.fromkeys(changes.agents))
        if not slugs:
            raise Refused(ErrorCode.INVALID, _("Keep at least one agent. You can turn its answers off."))
        for slug in slugs:
            if slug not in conversation.agents:
                _check_choice("agents", slug, list(usable_agents(participant.user)))
        conversation.agent, conversation.other_agents = slugs[0], slugs[1:]
    conversation.save(update_fields=["title", "title_from", "mode", "answers", "agent", "other_agents"])


def _check_choice(name: str, value: str, choices: Sequence[str]) -> str:
    if value not in choices:
        raise Refused(ErrorCode.INVALID, f"`{name}` has to be one of {', '.join(filter(None, choices))}.")
    return value
