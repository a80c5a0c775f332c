"""Who may do what in a conversation. A host site replaces it: NOUS_CHAT = {"PERMISSIONS": "site.rules.Rules"}.

Every method gets rows that are already read and makes no query that grows with the conversation.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from django.utils.module_loading import import_string

from .conf import Budget, conf
from .models import Message, Participant, Run


class Permissions:
    """Owners and members post and ask agents; viewers read. A run's launcher, an owner, or staff may stop it and decide
    on calls, the launcher while he may write. Owners say who is in a conversation and how it works.
    """

    def can_see(self, participant: Participant) -> bool:
        return participant.user.is_active

    def can_post(self, participant: Participant) -> bool:
        return participant.role in (Participant.Role.OWNER, Participant.Role.MEMBER)

    def can_ask_agent(self, participant: Participant, agent: str) -> bool:
        """`agent` is a slug. Who may not ask it may still post without an answer, and is told if he spoke to it."""
        return self.can_post(participant)

    def budgets(self, user: Any | None) -> Sequence[Budget]:
        """What this user's runs are held against; None is somebody whose account is gone."""
        return conf.BUDGETS

    def can_stop(self, participant: Participant, run: Run) -> bool:
        return (
            run.launched_by_id == participant.user_id
            or participant.role == Participant.Role.OWNER
            or getattr(participant.user, "is_staff", False)
        )

    def can_delete(self, participant: Participant, message: Message) -> bool:
        """A message: who wrote it while he may write, owners, and staff."""
        own = message.author_id == participant.user_id and self.can_post(participant)
        return own or participant.role == Participant.Role.OWNER or getattr(participant.user, "is_staff", False)

    def can_decide(self, participant: Participant, run: Run) -> bool:
        """An approval makes the agent act, with other arguments perhaps: more than a reader may do."""
        asked = run.launched_by_id == participant.user_id and self.can_post(participant)
        return asked or participant.role == Participant.Role.OWNER or getattr(participant.user, "is_staff", False)

    def can_invite(self, participant: Participant) -> bool:
        """Add people, make links that let people in, see and revoke these."""
        return self.can_manage(participant)

    def can_add(self, participant: Participant, user: Any) -> bool:
        """Whether this one may add that user by name; if not, it looks as if there were none of that name."""
        return bool(user.is_active)

    def can_manage(self, participant: Participant) -> bool:
        """Remove people, change roles, choose agents and when they answer. Handing over is the owner's alone."""
        return participant.role == Participant.Role.OWNER


@lru_cache(maxsize=1)
def _policy(path: str) -> Permissions:
    policy: Permissions = import_string(path)()
    return policy


def policy() -> Permissions:
    """The site's policy: an instance of the class that `PERMISSIONS` names."""
    return _policy(conf.PERMISSIONS)
