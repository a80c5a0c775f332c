"""Who opens a socket: the user of the session that the browser's cookie names."""

from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import connection
from django.test import Client

from chat.models import Conversation
from chat.realtime import groups, layer
from chat.realtime.revocation import session_name

from ..support.client import InProcess

Scenario = Callable[..., Any]


def cookie_of(user: Any) -> str:
    """What a browser sends in which this user is signed in."""
    client = Client()
    client.force_login(user)
    return f"theme=dark; {client.cookies[settings.SESSION_COOKIE_NAME].OutputString()}"


def test_a_socket_belongs_to_the_user_of_its_cookie(scenario: Scenario, people: Any, room: Conversation) -> None:
    cookie = cookie_of(people["ada"])

    async def talk() -> None:
        async with InProcess(None, room.pk, cookie=cookie) as ada:
            assert ada.snapshot is not None
            assert ada.snapshot["you"]["name"] == "ada"

    scenario(talk)


@pytest.mark.parametrize(
    "cookie",
    ["", "sessionid=", "sessionid=short", "sessionid=unknownunknownunknown", r'sessionid="\000unknownunknown"', "=;;"],
)
def test_a_socket_without_a_session_is_closed(scenario: Scenario, room: Conversation, cookie: str) -> None:
    async def talk() -> None:
        async with InProcess(None, room.pk, cookie=cookie) as nobody:
            assert await nobody.wait_closed() == 4401
            assert nobody.events == []
        async with InProcess(AnonymousUser(), room.pk) as nobody:
            assert await nobody.wait_closed() == 4401

    scenario(talk)


def test_a_socket_whose_user_comes_from_a_middleware_of_the_site_ends_with_its_session(
    scenario: Scenario, people: Any, room: Conversation
) -> None:
    """As behind channels' AuthMiddlewareStack, which a site may put around all of its sockets."""
    client = Client()
    client.force_login(people["ada"])
    session = client.session
    signed_out = {"type": "signed_out", "session": session_name(session.session_key)}

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk, session=session) as ada:
            await layer.send_to_group(groups.account(people["ada"].pk), signed_out)
            assert await ada.wait_closed(5) == 4401

    scenario(talk)


class Recorder(InProcess):
    """Notes in `order` what is sent."""

    def __init__(self, order: list[str], conversation: object, cookie: str) -> None:
        super().__init__(None, conversation, cookie=cookie)
        self._order = order

    async def _send(self, message: dict[str, Any]) -> None:
        self._order.append(message["type"])
        await super()._send(message)


def test_a_socket_is_accepted_before_the_database_is_asked(scenario: Scenario, people: Any, room: Conversation) -> None:
    """Servers give up a handshake after some seconds, and the browser would come back only to wait once more."""
    cookie = cookie_of(people["ada"])
    order: list[str] = []

    def note(execute: Callable[..., Any], *statement: Any) -> Any:
        order.append("statement")
        return execute(*statement)

    async def talk() -> None:
        async with Recorder(order, room.pk, cookie):
            pass

    with connection.execute_wrapper(note):
        scenario(talk)
    assert order[:2] == ["websocket.accept", "statement"]
