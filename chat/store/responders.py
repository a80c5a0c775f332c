"""Which agents a message asks for an answer, and which have yet to give it. Each function is a part of somebody's
transaction.

`Conversation.waiting` holds those that were asked during a run: [slug, id of who asked last, number of the message].
"""

from typing import Any

from django.utils.translation import gettext as _
from msgspec import Struct

from .. import agents
from ..models import Conversation, Message, Participant
from ..permissions import policy
from ..protocol.errors import ErrorCode, Refused
from . import mentions
from .base import count_writers
from .budgets import check_budgets


class Responders(Struct, frozen=True):
    """The slugs of the agents that are to answer a message, in order; and of those that it speaks to, but that this
    person may not ask.
    """

    allowed: list[str] = []
    forbidden: list[str] = []

    @property
    def refused(self) -> Refused | None:
        """What the person is told, beside the message, which is posted all the same."""
        names = ", ".join(agents.find(slug).name for slug in self.forbidden)
        if not names:
            return None
        return Refused(
            ErrorCode.FORBIDDEN, _("Your message is posted, but you may not ask %(agents)s.") % {"agents": names}
        )


def choose_responders(
    participant: Participant, conversation: Conversation, text: str, reply_to: Message | None
) -> Responders:
    """Raises Refused where a budget is used up."""
    answers = conversation.answers or conversation.answers_for(count_writers(conversation.id))
    if answers == Conversation.Answers.OFF:
        return Responders()
    found = mentions.find_mentions(text, [(slug, agents.find(slug).name) for slug in conversation.agents])
    if not found and (answered := _agent_of(reply_to)):
        found = [answered if answered in conversation.agents else conversation.agent]
    spoken_to = found
    if not found and answers == Conversation.Answers.ALWAYS:
        found = [conversation.agent]
    allowed = [slug for slug in found if policy().can_ask_agent(participant, slug)]
    if allowed:
        check_budgets(participant.user, conversation)
    return Responders(allowed, [slug for slug in spoken_to if slug not in allowed])


def check_responder(participant: Participant, conversation: Conversation, agent: str | None = None) -> str:
    """The slug of an agent that somebody names, or the first one. Raises Refused."""
    agent = agent or conversation.agent
    if agent not in conversation.agents:
        raise Refused(ErrorCode.NOT_FOUND, _("There is no such agent in this conversation."))
    if conversation.answers == Conversation.Answers.OFF:
        raise Refused(ErrorCode.CONFLICT, _("The agents of this conversation are switched off."))
    if not policy().can_ask_agent(participant, agent):
        raise Refused(ErrorCode.FORBIDDEN, _("You may not ask this agent."))
    check_budgets(participant.user, conversation)
    return agent


def add_waiting(conversation: Conversation, agent: str, user_id: Any, seq: int) -> None:
    """An agent is to answer message `seq` after the run that is active; saved with the next message."""
    entry = [agent, str(user_id), seq]
    places = [waiting[0] for waiting in conversation.waiting]
    if agent in places:
        conversation.waiting[places.index(agent)] = entry
    else:
        conversation.waiting.append(entry)


def pop_waiting(conversation: Conversation) -> tuple[str, Any] | None:
    """Who is to answer next, and for whom; people who have left meanwhile get no answer."""
    while conversation.waiting:
        agent, user_id, _ = conversation.waiting.pop(0)
        rows = Participant.objects.select_related("user", "conversation")
        participant = rows.filter(conversation=conversation, user=user_id).first()
        if agent in conversation.agents and participant is not None and policy().can_ask_agent(participant, agent):
            return agent, participant.user_id
    return None


def _agent_of(message: Message | None) -> str | None:
    run = getattr(message, "run", None)
    return run.agent if run is not None else None
