"""Holds, erasures, and retention in Django's admin: the same actions as the commands, with a record."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from chat import store
from chat.models import Conversation, Erasure, Hold, Message, Pruning

from ..support.store_helpers import begin, end, post

pytestmark = pytest.mark.django_db


def url(name: str, *args: Any) -> str:
    return reverse(f"admin:nous_chat_{name}", args=args)


@pytest.fixture
def keeper(people: dict[str, Any]) -> Client:
    """Staff who manages retention, and may do nothing else."""
    return client_of(people["eve"], "manage_retention")


def client_of(user: Any, *permissions: str) -> Client:
    user.is_staff = True
    user.save()
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


# --- Holds


@pytest.mark.parametrize("on", ["conversation", "person"])
def test_a_hold_is_placed_and_released_with_reasons_and_stays_on_record(
    keeper: Client, people: Any, room: Conversation, on: str
) -> None:
    about = {"conversation": str(room.pk)} if on == "conversation" else {"username": "ada"}
    response = keeper.post(url("hold_add"), about | {"reason": "Case 7"})
    hold = Hold.objects.get()
    assert response.headers["Location"] == url("hold_change", hold.pk)
    assert (hold.reason, hold.placed_by) == ("Case 7", people["eve"])
    assert store.held_among(Conversation.objects.filter(pk=room.pk)).exists()
    page = keeper.get(url("hold_change", hold.pk)).content.decode()
    assert "Case 7" in page
    assert url("hold_release", hold.pk) in page
    assert not keeper.post(url("hold_release", hold.pk), {"reason": " "}).headers.get("Location"), (
        "it asks for a reason"
    )
    keeper.post(url("hold_release", hold.pk), {"reason": "Settled"})
    hold.refresh_from_db()
    assert (hold.release_reason, hold.released_by) == ("Settled", people["eve"])
    assert hold.released_at is not None
    page = keeper.get(url("hold_change", hold.pk)).content.decode()
    assert "Settled" in page
    assert url("hold_release", hold.pk) not in page
    assert "released already" in keeper.post(url("hold_release", hold.pk), {"reason": "Again"}).content.decode()
    assert list(LogEntry.objects.order_by("pk").values_list("change_message", flat=True)) == [
        "Placed the hold.",
        "Released the hold.",
    ]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"reason": "x"}, "on a conversation or on a user"),
        ({"username": "nobody", "reason": "x"}, "No user with that name."),
        ({"username": "ada"}, "This field is required."),
        ({"conversation": "00000000-0000-4000-8000-000000000000", "reason": "x"}, "No conversation with that ID."),
        ({"conversation": "no id", "reason": "x"}, "valid UUID"),
    ],
)
def test_a_hold_that_makes_no_sense_is_explained(keeper: Client, people: Any, given: Any, problem: str) -> None:
    assert problem.lower() in keeper.post(url("hold_add"), given).content.decode().lower()
    assert not Hold.objects.exists()


def test_the_list_of_holds_can_be_filtered(keeper: Client, people: Any, room: Conversation) -> None:
    active = store.place_hold(None, "Still on", user=people["ada"].pk)
    released = store.place_hold(None, "Long over", conversation=room.pk)
    store.release_hold(None, released)
    for query, found in (
        ({}, {active, released}),
        ({"state": "active"}, {active}),
        ({"state": "released"}, {released}),
        ({"person": "ada"}, {active}),
        ({"person": "bob"}, set()),
        ({"q": str(room.pk)}, {released}),
    ):
        page = keeper.get(url("hold_changelist"), query)
        assert {row.pk for row in page.context["cl"].result_list} == found, query


def test_a_transcript_says_that_its_conversation_is_held(people: Any, room: Conversation, admin_client: Client) -> None:
    page = admin_client.get(url("conversation_transcript", room.pk)).content.decode()
    assert "Kept by an active hold" not in page
    assert f"{url('hold_add')}?conversation={room.pk}" in page
    store.place_hold(None, "Case", user=people["ada"].pk)
    assert "Kept by an active hold" in admin_client.get(url("conversation_transcript", room.pk)).content.decode()
    reader = client_of(people["eve"], "view_conversation", "view_transcript")
    page = reader.get(url("conversation_transcript", room.pk)).content.decode()
    assert "Kept by an active hold" not in page, "only staff who manage retention know of it"
    assert "Place a hold" not in page
    asked = admin_client.get(url("hold_add"), {"conversation": str(room.pk)})
    assert f'value="{room.pk}"' in asked.content.decode()


# --- Erasures


def erase(client: Client, username: str) -> Erasure:
    """Press every button until it is done."""
    client.post(url("erasure_add"), {"username": username, "confirmed": "yes"})
    receipt = Erasure.objects.latest("begun_at")
    for _ in range(100):
        if receipt.finished_at is not None:
            return receipt
        assert 'class="nous-continue"' in client.get(url("erasure_change", receipt.pk)).content.decode()
        client.post(url("erasure_continue", receipt.pk))
        receipt.refresh_from_db()
    raise AssertionError("it does not come to an end")


def test_the_dry_run_equals_the_receipt(keeper: Client, people: Any, room: Conversation) -> None:
    end(begin(people["bob"], room, "Hello"))
    store.create_conversation(people["bob"])
    planned = store.plan_erasure(people["bob"])
    page = keeper.post(url("erasure_add"), {"username": "bob"})
    assert [number for _, number in page.context["plan"]] == [str(each) for each in planned.values()]
    assert Message.objects.filter(author=people["bob"]).exists(), "nothing is erased before it is confirmed"
    people["bob"].refresh_from_db()
    assert people["bob"].is_active
    receipt = erase(keeper, "bob")
    assert receipt.counts == planned
    entry = LogEntry.objects.get()
    assert (entry.change_message, entry.object_repr) == ("Erased a user.", str(receipt.pk)), "not whom"
    assert (receipt.erased_by, receipt.user) == (people["eve"], None)
    assert not type(people["bob"]).objects.filter(username="bob").exists()
    shown = keeper.get(url("erasure_change", receipt.pk)).content.decode()
    assert "nous-continue" not in shown
    file = keeper.get(url("erasure_receipt", receipt.pk))
    assert file.headers["Content-Disposition"] == f'attachment; filename="erasure-{receipt.pk}.json"'
    downloaded = json.loads(file.content)
    assert (downloaded["counts"], downloaded["erased_by"]) == (planned, "eve")
    assert "bob" not in shown + file.content.decode()


def test_a_request_erases_for_a_moment_and_the_next_one_goes_on(
    keeper: Client, people: Any, room: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chat.admin.erasures.ERASE_SECONDS", -1)  # one transaction a request
    monkeypatch.setattr("chat.store.erasure.BATCH_SIZE", 1)
    for _ in range(3):
        end(begin(people["bob"], room, "Hello"))
        store.create_conversation(people["bob"])
    planned = store.plan_erasure(people["bob"])
    keeper.post(url("erasure_add"), {"username": "bob", "confirmed": "yes"})
    receipt = Erasure.objects.get()
    for done in range(1, 4):
        keeper.post(url("erasure_continue", receipt.pk))
        receipt.refresh_from_db()
        assert receipt.counts["conversations"] == done
        assert receipt.finished_at is None
    assert "bob" in keeper.get(url("erasure_changelist")).content.decode()
    assert erase(keeper, "bob").pk == receipt.pk, "the same erasure is continued"
    receipt.refresh_from_db()
    assert receipt.counts == planned, "nothing is counted twice"


def test_what_a_person_writes_after_they_were_let_in_again_is_erased_as_well(
    keeper: Client, people: Any, room: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    end(begin(people["bob"], room, "Hello"))
    erasing = store.erase_user(people["bob"])
    while next(erasing).get("runs") is None:
        pass
    erasing.close()
    people["bob"].is_active = True
    people["bob"].save()
    end(begin(people["bob"], room, "Here I am again"))
    erase(keeper, "bob")
    assert not Message.objects.filter(text__contains="again").exists()


def test_two_requests_do_not_erase_at_the_same_time(keeper: Client, people: Any, room: Conversation) -> None:
    for _ in range(2):
        store.create_conversation(people["bob"])
    receipt = store.begin_erasure(people["bob"])
    first = store.continue_erasure(receipt)
    next(first)
    second = store.continue_erasure(Erasure.objects.get())
    next(second)
    with pytest.raises(Exception, match="Another process"):
        next(first)


@pytest.mark.parametrize("stage", ["begin", "continue"])
def test_under_a_hold_nothing_is_erased_and_the_page_says_why(
    keeper: Client, people: Any, room: Conversation, stage: str
) -> None:
    post(people["bob"], room, "Keep this")
    if stage == "continue":
        receipt = store.begin_erasure(people["bob"])
    store.place_hold(None, "Case", user=people["bob"].pk)
    if stage == "begin":
        for form in ({}, {"confirmed": "yes"}):
            page = keeper.post(url("erasure_add"), {"username": "bob"} | form)
            assert "A hold keeps what this user wrote." in page.content.decode()
        assert not Erasure.objects.exists()
    else:
        page = keeper.post(url("erasure_continue", receipt.pk), follow=True)
        assert "A hold keeps what this user wrote." in page.content.decode()
        assert "erasure.js" not in page.content.decode(), "the page does not ask again and again"
    assert Message.objects.get(author=people["bob"]).text == "Keep this"


def test_nobody_erases_themselves_or_superusers(keeper: Client, people: Any, django_user_model: Any) -> None:
    django_user_model.objects.create_superuser("root")
    for username, problem in (("eve", "your own account"), ("root", "Only superusers"), ("nobody", "No user")):
        page = keeper.post(url("erasure_add"), {"username": username, "confirmed": "yes"})
        assert problem in page.content.decode()
    assert not Erasure.objects.exists()


# --- Retention


def test_the_rules_and_what_was_erased_are_shown(keeper: Client, people: Any, settings: Any) -> None:
    settings.NOUS_CHAT = {
        **settings.NOUS_CHAT,
        "RETENTION": [{"kind": "room", "min_days": 30, "max_days": 90}, {"max_days": 500}],
    }
    page = keeper.get(url("pruning_changelist")).content.decode()
    for words in ("of an object of the site", "30 days", "90 days", "500 days", "all others", "0 active holds"):
        assert words in page, words
    seeing = client_of(people["bob"], "view_pruning")
    assert url("hold_changelist") in page
    assert url("hold_changelist") not in seeing.get(url("pruning_changelist")).content.decode(), "it would be refused"
    for _ in range(3):
        store.create_conversation(people["ada"])
    Conversation.objects.update(updated_at=timezone.now() - timedelta(days=501))
    store.place_hold(None, "Case", conversation=Conversation.objects.first().pk)  # type: ignore[union-attr]
    list(store.prune(timezone.now()))
    assert Pruning.objects.get().conversations == 2
    Hold.objects.update(released_at=timezone.now())
    store.erase_expired()
    (row,) = keeper.get(url("pruning_changelist")).context["cl"].result_list
    assert row.conversations == 3, "what servers erase is added"


def test_a_round_that_erases_nothing_leaves_no_trace(people: Any) -> None:
    store.erase_expired()
    assert not Pruning.objects.exists()
