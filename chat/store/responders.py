"""Which agents answer a message, and which wait for their turn. Each function runs inside its caller's transaction.

`Conversation.waiting` lists the agents that were asked while a run was active, in order, each as [slug, id of the user
who asked last, number of the message].
"""

from typing import Any

from django.utils.translation import gettext as _
from msgspec import Struct

from .. import agents
from ..models import Conversation, Message, Participant
from ..permissions import policy
from ..protocol.errors import ErrorCode, Refused
from . import mentions
from .budgets import check_budgets


class Responders(Struct, frozen=True):
    """Slugs of the agents that answer a message, in order, and of those it addresses but its author may not ask."""

    allowed: list[str] = []
    forbidden: list[str] = []

    @property
    def refused(self) -> Refused | None:
        """What the author is told about the forbidden ones. The message is posted all the same."""
        names = ", ".join(agents.find(slug).name for slug in self.forbidden)
        if not names:
            return None
        return Refused(
            ErrorCode.FORBIDDEN, _("Your message is posted, but you can't ask %(agents)s.") % {"agents": names}
        )


def choose_responders(
    participant: Participant, conversation: Conversation, text: str, reply_to: Message | None, writers: int
) -> Responders:
    """The agents that the text mentions; else the one it replies to; else the first one, if it answers every message.
    `writers` is how many participants can write.

    Raises Refused if an agent would answer but a budget is used up.
    """
    answers = conversation.answers_for(writers)
    if answers == Conversation.Answers.OFF:
        return Responders()
    found = mentions.find_mentions(text, [(slug, agents.find(slug).name) for slug in conversation.agents])
    if not found and (answered := _agent_of(reply_to)):
        found = [answered if answered in conversation.agents else conversation.agent]
    addressed = found
    if not found and answers == Conversation.Answers.ALWAYS:
        found = [conversation.agent]
    allowed = [slug for slug in found if policy().can_ask_agent(participant, slug)]
    if allowed:
        check_budgets(participant.user, conversation)
    return Responders(allowed, [slug for slug in addressed if slug not in allowed])


def _agent_of(message: Message | None) -> str | None:
    run = getattr(message, "run", None)
    return run.agent if run is not None else None


def check_responder(participant: Participant, conversation: Conversation, agent: str | None = None) -> str:
    """The slug of the agent that a user asks by name, or of the first one. Raises Refused if it can't answer."""
    agent = agent or conversation.agent
    if agent not in conversation.agents:
        raise Refused(ErrorCode.NOT_FOUND, _("This agent is not in the conversation."))
    if conversation.answers == Conversation.Answers.OFF:
        raise Refused(ErrorCode.CONFLICT, _("Answers are turned off in this conversation."))
    if not policy().can_ask_agent(participant, agent):
        raise Refused(ErrorCode.FORBIDDEN, _("You can't ask this agent."))
    check_budgets(participant.user, conversation)
    return agent


def add_waiting(conversation: Conversation, agent: str, user_id: Any, seq: int) -> None:
    """Let an agent answer message `seq` after the active run. The caller saves the conversation.

    An agent that waits already keeps its place and answers both messages at once.
    """
    entry = [agent, str(user_id), seq]
    slugs = [waiting[0] for waiting in conversation.waiting]
    if agent in slugs:
        conversation.waiting[slugs.index(agent)] = entry
    else:
        conversation.waiting.append(entry)


def drop_waiting(conversation: Conversation, agent: str) -> None:
    """Let an agent wait no longer, because it answers now. The caller saves the conversation."""
    conversation.waiting = [entry for entry in conversation.waiting if entry[0] != agent]


def pop_waiting(conversation: Conversation) -> tuple[str, Any] | None:
    """The agent that answers next, and the id of the user who asked it. The caller saves the conversation.

    Skips users who have left or may no longer ask.
    """
    while conversation.waiting:
        agent, user_id, _ = conversation.waiting.pop(0)
        rows = Participant.objects.select_related("user", "conversation")
        participant = rows.filter(conversation=conversation, user=user_id).first()
        if agent in conversation.agents and participant is not None and policy().can_ask_agent(participant, agent):
            return agent, participant.user_id
    return None
