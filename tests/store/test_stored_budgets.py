"""Budgets of the admin: whom they limit, next to those of the settings, and what a start costs."""

import uuid
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError

from chat import engine, store
from chat.models import Budget, Conversation, Participant, Spending
from chat.protocol.errors import Refused
from chat.store import cached
from chat.times import today

from ..support.store_helpers import begin, end, post, refused


@pytest.fixture
def other_room(people: Any) -> Conversation:
    other = Conversation.objects.get(pk=store.create_conversation(people["ada"]).id)
    Participant.objects.create(conversation=other, user=people["bob"])
    Conversation.objects.update(answers="always")
    return other


@pytest.fixture
def team(people: Any) -> Group:
    group = Group.objects.create(name="Team")
    for name in ("ada", "bob"):
        people[name].groups.add(group)
    return group


def spend(user: Any, room: Conversation | None, tokens: int, cost: str = "0") -> None:
    Spending.objects.create(day=today(), user=user, conversation=room, tokens=tokens, cost=Decimal(cost))


@pytest.mark.parametrize(
    ("scope", "who", "where", "refuses"),
    [
        # Ada has used 60 and Bob 50, both in the room; Eve nothing.
        ({"scope": "user", "tokens": 60}, "ada", "room", True),
        ({"scope": "user", "tokens": 60}, "bob", "room", False),
        ({"scope": "person", "user": "ada", "tokens": 60}, "ada", "other", True),
        ({"scope": "person", "user": "ada", "tokens": 0}, "bob", "room", False),
        ({"scope": "member", "group": True, "tokens": 60}, "ada", "room", True),
        ({"scope": "member", "group": True, "tokens": 60}, "bob", "room", False),
        ({"scope": "member", "group": True, "tokens": 0}, "eve", "room", False),
        ({"scope": "group", "group": True, "tokens": 110}, "bob", "other", True),
        ({"scope": "group", "group": True, "tokens": 111}, "bob", "other", False),
        ({"scope": "group", "group": True, "tokens": 0}, "eve", "room", False),
        ({"scope": "conversation", "tokens": 110}, "eve", "room", True),
        ({"scope": "conversation", "tokens": 110}, "ada", "other", False),
        ({"scope": "one_conversation", "conversation": "room", "tokens": 110}, "eve", "room", True),
        ({"scope": "one_conversation", "conversation": "other", "tokens": 0}, "eve", "room", False),
        ({"scope": "site", "tokens": 110}, "eve", "room", True),
        ({"scope": "site", "tokens": 111}, "eve", "room", False),
        ({"scope": "site", "cost": 3}, "eve", "room", True),
    ],
)
def test_a_budget_limits_those_to_whom_it_applies(
    people: Any,
    room: Conversation,
    other_room: Conversation,
    team: Group,
    scope: dict[str, Any],
    who: str,
    where: str,
    refuses: bool,
) -> None:
    Participant.objects.create(conversation=room, user=people["eve"])
    spend(people["ada"], room, 60, "2")
    spend(people["bob"], room, 50, "1")
    rooms = {"room": room, "other": other_room}
    named: dict[str, Any] = {
        "user": people.get(scope.get("user")),
        "group": team if scope.get("group") else None,
        "conversation": rooms.get(scope.get("conversation", "")),
    }
    row = Budget(**{**scope, **named})
    row.full_clean()
    row.save()
    if refuses:
        with refused("budget"):
            post(people[who], rooms[where])
    else:
        assert post(people[who], rooms[where]).start is not None


def test_a_change_counts_from_the_next_question_on(people: Any, room: Conversation) -> None:
    row = Budget.objects.create(scope="user", tokens=0)
    with refused("budget"):
        post(people["ada"], room)
    row.tokens = 1
    row.save()
    assert post(people["ada"], room).start is not None


def test_another_process_hears_of_a_change_within_seconds(
    people: Any, room: Conversation, team: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    Budget.objects.create(scope="member", group=team, tokens=0)
    with refused("budget"):
        post(people["ada"], room)
    team.user_set.clear()  # as another process would: this one hears nothing of it
    with refused("budget"):
        post(people["ada"], room)
    monkeypatch.setattr(cached, "MAX_AGE", -1.0)
    assert post(people["ada"], room).start is not None


@pytest.mark.parametrize("reverse", [False, True])
def test_of_two_budgets_that_are_used_up_the_message_names_the_one_that_resets_last(
    people: Any, room: Conversation, settings: Any, reverse: bool
) -> None:
    """Else, people are told to ask again tomorrow, and refused again."""
    spend(people["ada"], room, 100)
    day, ever = {"period": "day", "tokens": 10}, {"period": "ever", "tokens": 20}
    of_settings, of_admin = (ever, day) if reverse else (day, ever)
    settings.NOUS_CHAT = {"BUDGETS": [{"per": "user", **of_settings}]}
    Budget.objects.create(scope="user", **of_admin)
    with pytest.raises(Refused) as caught:
        post(people["ada"], room)
    assert "20 tokens" in str(caught.value)
    assert caught.value.retry_after is None


def test_the_stricter_of_two_budgets_limits_a_run(people: Any, room: Conversation, settings: Any) -> None:
    settings.NOUS_CHAT = {"BUDGETS": [{"per": "user", "tokens": 500}]}
    Budget.objects.create(scope="user", period="day", tokens=100)
    assert {left.tokens for left in begin(people["ada"], room).remaining} == {500, 100}


def test_budgets_of_the_admin_cost_a_start_no_statement(
    people: Any, room: Conversation, team: Group, settings: Any, django_assert_num_queries: Any
) -> None:
    settings.NOUS_CHAT = {"BUDGETS": [{"per": "user", "tokens": 500}]}
    for scope in ("user", "conversation", "site"):
        Budget.objects.create(scope=scope, tokens=1000)
    Budget.objects.create(scope="group", group=team, tokens=1000)
    store.budgets.read_remaining(people["ada"], room)
    with django_assert_num_queries(1):
        assert len(store.budgets.read_remaining(people["ada"], room)) == 5


def test_a_budget_that_limits_nothing_or_nobody_is_refused_and_ignored(
    people: Any, room: Conversation, team: Group
) -> None:
    for fields in (
        {"scope": "user"},
        {"scope": "person", "tokens": 1},
        {"scope": "user", "tokens": 1, "user": people["ada"]},
        {"scope": "group", "tokens": 1, "user": people["ada"]},
        {"scope": "site", "tokens": -1},
    ):
        with pytest.raises(ValidationError):
            Budget(**fields).full_clean()
    Budget.objects.create(scope="user")
    Budget.objects.create(scope="person", tokens=0)  # of an erased account
    assert post(people["ada"], room).start is not None


def test_what_a_run_uses_counts_against_the_budget(people: Any, room: Conversation, team: Group) -> None:
    Budget.objects.create(scope="group", group=team, tokens=15)
    usage = engine.Usage(10, 5, 15)
    end(begin(people["ada"], room), usage=usage, charged_usage=usage)
    with pytest.raises(Refused, match="The budget of your group for this month is used up: 15 tokens"):
        post(people["bob"], room, run_id=uuid.uuid4())
