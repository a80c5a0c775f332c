"""Fill a database with a made-up site, in batches that hold no lock for long."""

from collections import defaultdict
from collections.abc import Iterator
from random import Random
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
from django.contrib.contenttypes.models import ContentType
from django.core.files.base import ContentFile
from django.db.models import EmailField, Model
from django.utils import timezone

from ... import agents, database
from ...fulltext import fold
from ...models import (
    Attachment,
    Conversation,
    Document,
    DocumentUpdate,
    Edit,
    Guest,
    Message,
    Participant,
    Passage,
    Run,
    Spending,
    ToolCall,
    attachment_storage,
)
from ...times import to_wire
from ..bulk_insert import insert_rows
from ..unit_of_work import unit_of_work
from . import texts
from .make import Rows, Site, make_conversations

BATCH_MESSAGES = 2000
"""How many messages one transaction writes."""

FILES = 20
CONVERSATIONS_PER_USER = 50
CONVERSATIONS_PER_GUEST = 100

_ORDER: tuple[type[Model], ...] = (
    Conversation,
    Participant,
    Message,
    Edit,
    Attachment,
    Run,
    ToolCall,
    Document,
    DocumentUpdate,
    Passage,
    Spending,
)
"""Models, each after those that it refers to."""


def fill_showcase(conversations: int, messages: int, seed: int = 1) -> Iterator[int]:
    """Add a made-up site, and yield how many conversations are there after each batch. The same arguments on the same
    day give the same rows; the keys of users are the database's.
    """
    site = _make_site(conversations, seed)
    waiting: Rows = defaultdict(list)
    done = 0
    for rows in make_conversations(site, conversations, messages):
        done += 1
        for model, made in rows.items():
            waiting[model] += made
        if len(waiting[Message]) >= BATCH_MESSAGES or len(waiting[Conversation]) >= BATCH_MESSAGES:
            _write(waiting)
            yield done
    _write(waiting)
    yield done


def _write(waiting: Rows) -> None:
    with database.atomic():  # without the limits of a unit of work: the rows are new, so nobody waits for them
        for model in _ORDER:
            insert_rows(model, waiting.pop(model, []))
    assert not waiting


def _make_site(conversations: int, seed: int) -> Site:
    rng = Random(seed)
    number = max(8, conversations // CONVERSATIONS_PER_USER)
    names = [(rng.choice(texts.FIRST_NAMES), rng.choice(texts.LAST_NAMES)) for _ in range(number)]
    users = _make_users([(fold(f"{first}.{last}.{index}"), first, last) for index, (first, last) in enumerate(names)])
    visitors = _make_users([(f"visitor.{index}", "", "") for index in range(conversations // CONVERSATIONS_PER_GUEST)])
    _make_guests(visitors)
    now = to_wire(timezone.now()).replace(hour=0, minute=0, second=0, microsecond=0)
    return Site(
        seed=seed,
        now=now,
        users=users,
        guests=visitors,
        agents=list(agents.all_agents()),
        files=list(_make_files(rng)),
        room_type=ContentType.objects.get_for_model(get_user_model()).pk,
    )


def _make_users(people: list[tuple[str, str, str]]) -> list[Any]:
    """Users who cannot sign in, with these usernames and names. Those that are there already stay. Returns their keys,
    in order.
    """
    users = get_user_model()
    rows = users._base_manager.using(database.alias())
    field = users._meta.get_field(users.USERNAME_FIELD)
    known = {each.name for each in users._meta.get_fields()}
    keys: list[Any] = []
    for start in range(0, len(people), BATCH_MESSAGES):
        made: dict[str, Any] = {}
        for name, first, last in people[start : start + BATCH_MESSAGES]:
            address = f"{name}@showcase.invalid"  # a domain that never exists
            fields = {"first_name": first, "last_name": last, "email": address}
            fields[users.USERNAME_FIELD] = username = address if isinstance(field, EmailField) else name
            fields = {key: value for key, value in fields.items() if key in known}
            made[username] = users(password=make_password(None), **fields)
        by_name = {f"{users.USERNAME_FIELD}__in": list(made)}
        there = set(rows.filter(**by_name).values_list(users.USERNAME_FIELD, flat=True))
        rows.bulk_create([user for name, user in made.items() if name not in there])
        found = dict(rows.filter(**by_name).values_list(users.USERNAME_FIELD, "pk"))
        keys += [found[name] for name in made]
    return keys


@unit_of_work()
def _make_guests(keys: list[Any]) -> None:
    rows = get_user_model()._base_manager.using(database.alias())
    new = [key for key in keys if not Guest.objects.filter(pk=key).exists()]
    for key in new:
        rows.filter(pk=key).update(password=f"{Guest.PASSWORD_PREFIX}{make_password(None)}")
    Guest.objects.bulk_create(Guest(pk=key) for key in new)


def _make_files(rng: Random) -> Iterator[tuple[str, bytes]]:
    for _ in range(FILES):
        content = texts.answer(rng).encode()
        yield attachment_storage().save("nous_chat/showcase", ContentFile(content)), content
