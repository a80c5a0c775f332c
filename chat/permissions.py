"""Who may do what in a conversation. A site replaces it: NOUS_CHAT = {"PERMISSIONS": "site.rules.Rules"}."""

import re
import secrets
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import EmailField, Q, QuerySet
from django.utils.module_loading import import_string
from django.utils.translation import gettext_noop

from . import agents
from .conf import PICTURE_ADDRESS, AgentConf, Budget, conf
from .i18n import in_site_language
from .models import Conversation, Document, Guest, Message, Participant, Run


class Permissions:
    """The default rules. A site's own class inherits from it and overrides methods.

    Viewers read; members also post and ask agents; owners also manage the conversation. Staff of the site who take part
    in a conversation may stop runs, decide on tool calls and delete messages as owners may.

    Every method gets rows that are already loaded (a participant with its user and conversation). Avoid queries: lists
    call `can_see` for every conversation. Never wait for a network: all sockets share the thread that calls these.
    """

    def can_use(self, user: Any) -> bool:
        """Use the chat at all: its pages, sockets, and addresses. Asked before everything else."""
        return bool(user.is_active) and (conf.GUESTS is not None or not is_guest(user))

    def can_create(self, user: Any) -> bool:
        """Create conversations, and fork them. A guest has the one that they began with."""
        return not is_guest(user)

    def name(self, user: Any) -> str:
        """The name that others see and models are told: by default the full name if there is one, else the username."""
        if is_guest(user):
            return in_site_language(gettext_noop("Guest"))
        full_name: str = getattr(user, "get_full_name", str)()
        return full_name or str(user.get_username())

    def picture(self, user: Any) -> str:
        """The address of a picture that others see next to the name: a path on this site, or one that begins with
        `https://`. By default empty, and the page shows initials; so it does for any other address.
        """
        return ""

    def can_see(self, participant: Participant) -> bool:
        """Read the conversation, and have it in the list."""
        return participant.user.is_active

    def visible(self, user: Any, conversations: QuerySet[Conversation]) -> QuerySet[Conversation]:
        """Those of these conversations that the user can see, for lists and search results. A class that overrides it
        is not asked `can_see` for each row there, so both have to say the same.
        """
        return conversations

    def can_post(self, participant: Participant) -> bool:
        """Write, edit and restore messages, choose alternatives, fork, create and change documents."""
        return participant.role in (Participant.Role.OWNER, Participant.Role.MEMBER)

    def can_ask_agent(self, participant: Participant, agent: str) -> bool:
        """Ask the agent with this slug. A user who may not can still post; if the message addressed the agent, they are
        told why there is no answer.
        """
        return self.can_post(participant) and self.can_use_agent(participant.user, agent)

    def can_use_agent(self, user: Any, agent: str) -> bool:
        """Have the agent with this slug offered, and choose it for conversations. By default everybody, or the members
        of its groups if it has any.
        """
        names = agents.find(agent).groups
        return not names or (hasattr(user, "groups") and user.groups.filter(name__in=names).exists())

    def budgets(self, user: Any | None) -> Sequence[Budget]:
        """The budgets that limit this user's runs. `user` is None if the account of a run's launcher was deleted."""
        if conf.GUESTS is not None and is_guest(user):
            return (*conf.BUDGETS, *conf.GUESTS.budgets)
        return conf.BUDGETS

    def can_stop(self, participant: Participant, run: Run) -> bool:
        """Stop a run: its launcher, owners, and staff."""
        return run.launched_by_id == participant.user_id or _is_owner_or_staff(participant)

    def can_delete(self, participant: Participant, message: Message) -> bool:
        """Delete a message: its author if they can still post, owners, and staff."""
        own = message.author_id == participant.user_id and self.can_post(participant)
        return own or _is_owner_or_staff(participant)

    def can_delete_document(self, participant: Participant, document: Document) -> bool:
        """Delete a document: the person who created it, or asked the agent that did, if they can still post; owners,
        and staff.
        """
        own = document.created_by_id == participant.user_id and self.can_post(participant)
        return (own and not is_guest(participant.user)) or _is_owner_or_staff(participant)

    def can_decide(self, participant: Participant, run: Run) -> bool:
        """Approve or reject a run's tool calls: its launcher if they can still post, owners, and staff.

        An approval makes the agent act, perhaps with changed arguments, so a launcher who is only a viewer by now may
        not give it.
        """
        launched = run.launched_by_id == participant.user_id and self.can_post(participant)
        return launched or _is_owner_or_staff(participant)

    def can_invite(self, participant: Participant) -> bool:
        """Add people by name; create, list and revoke invitation links."""
        return self.can_manage(participant)

    def can_add(self, participant: Participant, user: Any) -> bool:
        """Add this user by name. If not, the participant is told that there is no user with that name."""
        return bool(user.is_active) and not is_guest(user)

    def can_manage(self, participant: Participant) -> bool:
        """Remove people, change roles and settings, delete the conversation. Only owners can transfer ownership."""
        return participant.role == Participant.Role.OWNER

    def new_guest(self) -> Any:
        """The row of a new guest, not saved yet. Override it if your user model has required fields."""
        users = get_user_model()
        name = f"guest-{secrets.token_hex(8)}"
        if isinstance(users._meta.get_field(users.USERNAME_FIELD), EmailField):
            name += "@guest.invalid"  # a domain that never exists (RFC 2606, 2)
        return users(**{users.USERNAME_FIELD: name})


_PICTURE = re.compile(PICTURE_ADDRESS, re.ASCII)


def picture_of(user: Any) -> str:
    """The address of a user's picture as browsers get it; empty if there is none that they may load."""
    address = str(policy().picture(user) or "")
    return address if _PICTURE.fullmatch(address) else ""


def is_guest(user: Any | None) -> bool:
    """Whether a user is a visitor without an account (`GUESTS`). Needs no query."""
    return str(getattr(user, "password", "")).startswith(Guest.PASSWORD_PREFIX)


def _is_owner_or_staff(participant: Participant) -> bool:
    return participant.role == Participant.Role.OWNER or getattr(participant.user, "is_staff", False)


@lru_cache(maxsize=1)
def _policy(path: str) -> Permissions:
    policy: Permissions = import_string(path)()
    return policy


def policy() -> Permissions:
    """An instance of the site's permissions class."""
    return _policy(conf.PERMISSIONS)


def can_see(participant: Participant) -> bool:
    """Whether a participant may use the chat and see their conversation."""
    rules = policy()
    return rules.can_use(participant.user) and rules.can_see(participant)


def is_listed(participant: Participant) -> bool:
    """The same for a row that `visible_to` has found."""
    return _is_set_based() or can_see(participant)


def visible_to(user_id: Any) -> Q:
    """The participations of a user that lists and search results may show, if the site's class says so with a query;
    else all of them.
    """
    if not _is_set_based():
        return Q()
    user = get_user_model()._default_manager.filter(pk=user_id).first()
    if user is None or not policy().can_use(user):
        return Q(pk__in=())
    return Q(conversation__in=policy().visible(user, Conversation.objects.order_by()).values("pk"))


def usable_agents(user: Any) -> dict[str, AgentConf]:
    """The agents that this user can choose, by slug."""
    return {slug: agent for slug, agent in agents.all_agents().items() if policy().can_use_agent(user, slug)}


def asks_can_use() -> bool:
    """Whether the site decides who may use the chat. If not, every active user may."""
    return type(policy()).can_use is not Permissions.can_use


def _is_set_based() -> bool:
    return type(policy()).visible is not Permissions.visible
