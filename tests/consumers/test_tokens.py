"""API tokens on sockets: scripts may send an Authorization header."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.utils import timezone

from chat import store
from chat.models import ApiToken, Conversation

from ..support.client import InProcess

Scenario = Callable[..., Any]


class Script(InProcess):
    """Connects with an Authorization header."""

    def __init__(self, token: str, conversation: object = "") -> None:
        super().__init__(None, conversation, cookie="")
        self._scope["headers"] = [(b"authorization", f"Bearer {token}".encode())]


@pytest.fixture
def token(people: dict[str, Any]) -> str:
    return store.create_token(people["ada"].pk, "script")


def test_a_socket_belongs_to_the_user_of_its_token(scenario: Scenario, token: str, room: Conversation) -> None:
    async def talk() -> None:
        async with Script(token, room.pk) as ada:
            assert ada.snapshot is not None
            assert ada.snapshot["you"]["name"] == "ada"
            await ada.say("Hello", ref="1")
            assert (await ada.answered("1"))["type"] == "ack"

    scenario(talk)


def test_a_token_that_is_not_valid_closes_the_socket_and_says_why(
    scenario: Scenario, token: str, room: Conversation
) -> None:
    ApiToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    async def talk() -> None:
        for wrong in (token, "nct_unknown"):
            async with Script(wrong, room.pk) as nobody:
                assert await nobody.wait_closed() == 4401
                assert [event["code"] for event in nobody.events] == ["unauthorized"]

    scenario(talk)


def test_a_socket_does_only_what_the_scopes_allow(scenario: Scenario, people: Any, room: Conversation) -> None:
    reading = store.create_token(people["ada"].pk, "script", "read")
    writing = store.create_token(people["ada"].pk, "script", "write")

    async def talk() -> None:
        async with Script(reading, room.pk) as ada:
            await ada.say("Hello", ref="1")
            assert (await ada.answered("1"))["code"] == "forbidden"
            await ada.send("ping", ref="2")
            assert (await ada.answered("2"))["type"] == "pong"
        async with Script(writing, room.pk) as ada:
            assert await ada.wait_closed() == 4403
            assert [event["code"] for event in ada.events] == ["forbidden"]

    scenario(talk)


@pytest.mark.django_db(transaction=True)
def test_revoking_a_token_closes_its_sockets_at_once(
    scenario: Scenario, token: str, people: Any, room: Conversation
) -> None:
    revoked = ApiToken.objects.get()
    other = store.create_token(people["ada"].pk, "another")

    async def talk() -> None:
        async with Script(token, room.pk) as ada, Script(other) as inbox:
            await sync_to_async(store.revoke_token)(people["ada"].pk, revoked.pk)
            assert await ada.wait_closed(10) == 4401
            await inbox.send("ping", ref="1")
            assert (await inbox.answered("1"))["type"] == "pong", "the other token is still valid"

    scenario(talk)
