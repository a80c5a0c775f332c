"""Tool calls that are many, or have odd ids, on a whole site."""

import asyncio
import time
from collections.abc import Callable

import pytest

from ..support.client import signed_in
from ..support.protocol_client import Frame
from ..support.servers import Site

StartSite = Callable[..., Site]


@pytest.fixture
def site(start_site: StartSite) -> Site:
    return start_site(DJANGO_SETTINGS_MODULE="tests.sites.eager")


def is_waiting(message: Frame) -> bool:
    return bool(message["run"]) and message["run"]["status"] == "awaiting_approval"


def test_a_hundred_calls_are_few_frames_and_a_stop_ends_them_at_once(site: Site) -> None:
    async def talk() -> None:
        async with signed_in(site, "ada") as ada:
            conversation = await ada.new_conversation(agent="eager")
            async with ada.socket(conversation) as peer:
                await peer.say("Look everything up")
                finished = await peer.hear("run.finished")
                assert (finished["status"], finished["message"]["text"]) == ("completed", "Looking. \n\nLooking. ")
                statuses = [call["status"] for call in finished["message"]["calls"]]
                assert (statuses.count("done"), statuses.count("failed")) == (32, 68)
                assert len(peer.of_type("run.tool")) <= 2 * 100
                assert peer.answer["calls"] == finished["message"]["calls"]
                assert (await ada.messages(conversation))[-1] == finished["message"]

                await peer.say("Once more")
                run = (await peer.hear("run.started", 2))["run"]
                await peer.until(lambda: any(event["run"] == run for event in peer.of_type("run.tool")))
                began = time.monotonic()
                await peer.send("run.stop", run=run, ref="stop")
                assert (await peer.hear("run.finished", 2))["status"] in ("stopped", "completed")
                assert time.monotonic() - began < 10
                assert peer.closed is None

    asyncio.run(talk())


def test_calls_without_end_end_the_answer_and_its_text_is_kept(site: Site) -> None:
    async def talk() -> None:
        async with signed_in(site, "ada") as ada:
            conversation = await ada.new_conversation(agent="tireless")
            async with ada.socket(conversation) as peer:
                await peer.say("Look everything up")
                finished = await peer.hear("run.finished")
                assert (finished["status"], finished["error"]["code"]) == ("failed", "answer_too_large")
                assert (finished["message"]["text"], finished["message"]["calls"]) == ("Looking. ", [])

    asyncio.run(talk())


def test_calls_with_long_ids_that_begin_alike_are_decided_one_by_one(site: Site) -> None:
    async def talk() -> None:
        async with signed_in(site, "ada") as ada:
            conversation = await ada.new_conversation(agent="careful")
            async with ada.socket(conversation) as peer:
                await peer.say("Look two things up")
                await peer.until(lambda: any(is_waiting(message) for message in peer.messages.values()))
            async with ada.socket(conversation) as peer:
                await peer.hear("snapshot")
                first, second = peer.answer["calls"]
                await peer.send("tool.decide", call=first["id"], decision="approve", ref="yes")
                await peer.send("tool.decide", call=second["id"], decision="reject", ref="no")
                assert [(await peer.answered(ref))["type"] for ref in ("yes", "no")] == ["ack", "ack"]
                finished = await peer.hear("run.finished")
                assert (finished["status"], finished["message"]["text"]) == ("completed", "Looking. \n\nLooking. ")
                assert [call["status"] for call in finished["message"]["calls"]] == ["done", "rejected"]

    asyncio.run(talk())
