"""Sockets that cannot be served because the channel layer fails."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from channels.layers import InMemoryChannelLayer

from chat.consumers import base

from ..support.client import InProcess

Scenario = Callable[..., Any]


def test_a_socket_that_cannot_be_served_closes_with_a_code_that_every_server_can_send(
    scenario: Scenario, people: Any, room: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("the layer is away")

    async def talk() -> None:
        monkeypatch.setattr(base, "mailbox", fail)
        async with InProcess(people["ada"], room.pk) as ada:
            assert await ada.wait_closed() == 4011

    scenario(talk)


def test_a_socket_that_cannot_join_its_groups_is_told_that_the_layer_is_away(
    scenario: Scenario, people: Any, room: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}

    async def hang(*_: object) -> None:
        await asyncio.sleep(60)

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.hear("snapshot")
            monkeypatch.setattr(InMemoryChannelLayer, "group_add", hang)
            async with InProcess(people["ada"], room.pk) as late:
                assert await late.wait_closed() == 4011
                assert [event["code"] for event in late.events] == ["layer_away"]

    scenario(talk)
