"""Permissions: who may do what in a conversation.

A site can replace them: `NOUS_CHAT = {"PERMISSIONS": "site.rules.Rules"}`.

The methods get rows that are already loaded. They run in most transactions, so they should make few queries, and none
that grows with the conversation.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from django.utils.module_loading import import_string

from .conf import Budget, conf
from .models import Message, Participant, Run


class Permissions:
    """The default permissions, and the base class of a site's own.

    Owners and members post and ask agents; viewers read. Owners manage participants and settings. The user who started
    a run, owners, and staff may stop it and decide on its tool calls.
    """

    def can_see(self, participant: Participant) -> bool:
        return participant.user.is_active

    def can_post(self, participant: Participant) -> bool:
        return participant.role in (Participant.Role.OWNER, Participant.Role.MEMBER)

    def can_ask_agent(self, participant: Participant, agent: str) -> bool:
        """Whether this participant may ask the agent with this slug.

        If not, they can still post. If their message addresses the agent, they are told why there is no answer.
        """
        return self.can_post(participant)

    def budgets(self, user: Any | None) -> Sequence[Budget]:
        """The budgets of this user's runs. None means that the user was deleted."""
        return conf.BUDGETS

    def can_stop(self, participant: Participant, run: Run) -> bool:
        return (
            run.launched_by_id == participant.user_id
            or participant.role == Participant.Role.OWNER
            or getattr(participant.user, "is_staff", False)
        )

    def can_delete(self, participant: Participant, message: Message) -> bool:
        """Authors who can still post, owners, and staff may delete a message."""
        own = message.author_id == participant.user_id and self.can_post(participant)
        return own or participant.role == Participant.Role.OWNER or getattr(participant.user, "is_staff", False)

    def can_decide(self, participant: Participant, run: Run) -> bool:
        """Whether this participant may approve and reject the run's tool calls.

        An approval makes the agent act, possibly with other arguments, so a viewer may not decide, even on runs from
        before they became one.
        """
        asked = run.launched_by_id == participant.user_id and self.can_post(participant)
        return asked or participant.role == Participant.Role.OWNER or getattr(participant.user, "is_staff", False)

    def can_invite(self, participant: Participant) -> bool:
        """Add participants by name; create, see, and revoke invitation links."""
        return self.can_manage(participant)

    def can_add(self, participant: Participant, user: Any) -> bool:
        """Whether this participant may add that user by name. If not, the answer is as if no such user existed."""
        return bool(user.is_active)

    def can_manage(self, participant: Participant) -> bool:
        """Remove participants, change roles, and change the conversation's title, agents, and settings.

        Only an owner transfers ownership, whatever this returns.
        """
        return participant.role == Participant.Role.OWNER


@lru_cache(maxsize=1)
def _policy(path: str) -> Permissions:
    policy: Permissions = import_string(path)()
    return policy


def policy() -> Permissions:
    """An instance of the site's permissions class."""
    return _policy(conf.PERMISSIONS)
