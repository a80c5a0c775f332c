"""The made-up site: what is in it, that it is the same each time, and that it spares sites with conversations."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db.models import F, Max

from chat import store
from chat.models import Attachment, Conversation, Document, Guest, Message, Passage, Run, Spending, ToolCall

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path


def fill(conversations: int = 400, messages: int = 4000, **options: Any) -> None:
    call_command("nous_showcase", conversations=conversations, messages=messages, verbosity=0, **options)


def exported() -> bytes:
    """All lines, without the keys of users, which the database gives."""
    return re.sub(rb'"object_id":"\d+"', b"", b"".join(store.export(store.Scope(), "jsonl")))


def test_it_has_what_a_site_has() -> None:
    fill()
    assert (Conversation.objects.count(), Message.objects.count()) == (400, 4000)
    sizes = Conversation.objects.annotate(most=Max("messages__seq"))
    assert not sizes.exclude(last_seq=F("most")).exclude(last_seq=0).exists()
    assert set(Run.objects.values_list("status", flat=True)) == {"completed", "stopped", "failed", "interrupted"}
    assert Run.objects.filter(cost__gt=0, total_tokens__gt=0).count() > 500
    for model in (ToolCall, Document, Attachment, Guest, Spending):
        assert model._base_manager.exists(), model
    kinds = Conversation.objects
    assert kinds.filter(listed=False, content_type=None).exists()
    assert kinds.exclude(content_type=None).exists()
    assert kinds.exclude(deleted_at=None).exists()
    assert kinds.filter(participants__user__nous_guest__isnull=False).exists()
    assert Passage.objects.filter(message=None).count() == 400
    assert get_user_model().objects.exclude(first_name="").exists()
    user = Message.objects.filter(role="user", conversation__deleted_at=None).values_list("author", flat=True).first()
    listed = store.list_conversations(user)[0]
    assert listed
    document = Document.objects.select_related("conversation").first()
    assert document is not None
    reader = document.conversation.participants.values_list("user", flat=True).first()
    Conversation.objects.update(deleted_at=None)
    assert store.get_document(reader, document.pk).text


def test_the_same_numbers_make_the_same_site() -> None:
    lines = []
    for _ in range(2):
        fill(50, 300)
        lines.append(exported())
        Conversation.objects.all().delete()
        Spending.objects.all().delete()
        get_user_model().objects.all().delete()
    assert lines[0] == lines[1]
    fill(50, 300, seed=2)
    assert exported() != lines[0]


def test_a_site_with_conversations_is_left_alone_unless_one_asks_for_more(people: Any) -> None:
    own = store.create_conversation(people["ada"])
    with pytest.raises(CommandError, match="--add"):
        fill(5, 20)
    assert not Message.objects.exists()
    fill(5, 20, add=True)
    assert Conversation.objects.filter(pk=own.id).exists()
    assert Conversation.objects.count() == 6
    assert not Message.objects.filter(conversation=own.id).exists()


@pytest.mark.parametrize("numbers", [(0, 5), (5, -1)])
def test_numbers_that_make_no_sense_are_refused(numbers: tuple[int, int]) -> None:
    with pytest.raises(CommandError, match="or more"):
        fill(*numbers)
