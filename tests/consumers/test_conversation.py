"""A conversation over its socket, in this process: real consumers, a real provider, the configured channel layer."""

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from chat.consumers.conversation import ConversationConsumer
from chat.models import Conversation, Message, Run
from chat.node import node
from chat.protocol import errors

from ..support.client import InProcess, all_said
from ..support.servers import Upstream
from ..support.upstream import text

Scenario = Callable[..., Any]


def test_an_answer_streams_to_everybody_and_is_stored(
    scenario: Scenario, people: Any, room: Conversation, model: Any
) -> None:
    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada, InProcess(people["bob"], room.pk) as bob:
            client_id = await ada.say("Hello", ref="1")
            finished = await ada.hear("run.finished")
            await bob.hear("run.finished")
            assert (await ada.answered("1"))["type"] == "ack"
            assert ada.of_type("message.created")[0]["message"]["client_id"] == client_id
            assert finished["status"] == "completed"
            assert finished["message"]["text"] == text(30)
            assert finished["usage"]["total_tokens"] == finished["message"]["run"]["usage"]["total_tokens"] > 0
            assert ada.transcript == bob.transcript == [("user", "Hello"), ("assistant", text(30))]
            assert ada.delta_chars == len(text(30)), "the deltas alone add up to the text"
            run_events = [event["type"] for event in bob.events if event["type"].startswith("run.")]
            assert run_events[0] == "run.started"
            assert run_events[-1] == "run.finished"

    scenario(talk)
    assert Message.objects.get(role="assistant").text == text(30)
    run = Run.objects.get()
    assert (run.status, run.finish_reason, run.model) == ("completed", "stop", "custom:words@n=30")


def test_thinking_streams_and_is_stored_separately(
    scenario: Scenario, people: Any, room: Conversation, model: Any
) -> None:
    model("thinking@n=5")

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("Think")
            message = (await ada.hear("run.finished"))["message"]
            assert message["thinking"]
            assert message["text"]
            assert any("thinking" in delta for delta in ada.of_type("run.delta"))

    scenario(talk)


def test_the_snapshot_comes_first_and_holds_the_history(
    scenario: Scenario, people: Any, room: Conversation, model: Any
) -> None:
    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("Hello")
            await ada.hear("run.finished")
        async with InProcess(people["bob"], room.pk) as bob:
            snapshot = bob.events[0]
            bob_himself = {"id": str(people["bob"].pk), "name": "bob", "picture": ""}
            assert snapshot["you"] == bob_himself | {"role": "member", "staff": False}
            assert [m["text"] for m in snapshot["messages"]] == ["Hello", text(30)]
            assert [p["user"]["name"] for p in snapshot["participants"]] == ["ada", "bob"]
            assert (snapshot["more"], snapshot["runs"]) == (False, [])
            assert snapshot["conversation"]["title"] == "Hello"

    scenario(talk)


def test_a_late_joiner_gets_the_answer_from_its_start(
    scenario: Scenario, people: Any, room: Conversation, model: Any, upstream: Upstream
) -> None:
    model("flowing")

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("Hello")
            await ada.until(lambda: ada.of_type("run.delta"))
            async with InProcess(people["bob"], room.pk) as bob:
                state = await bob.hear("run.state")
                upstream.release()
                answer = all_said(await bob.hear("run.finished"))
                assert answer.startswith(state["message"]["text"])
                assert bob.transcript[-1] == ("assistant", answer)

    scenario(talk)


def test_the_same_client_id_makes_one_message_and_gets_the_same_ack(
    scenario: Scenario, people: Any, room: Conversation, model: Any
) -> None:
    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            client_id = await ada.say("Hello", ref="1")
            await ada.hear("run.finished")
            await ada.say("Hello", client_id=client_id, ref="2")
            first, second = await ada.answered("1"), await ada.answered("2")
            assert first | {"ref": None} == second | {"ref": None}
            assert len(ada.of_type("message.created")) == 1

    scenario(talk)
    assert Message.objects.count() == 2


def test_bad_frames_get_an_error_and_the_socket_stays_open(
    scenario: Scenario, people: Any, room: Conversation, model: Any
) -> None:
    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            for number, (frame, code) in enumerate(
                [
                    ("{", "bad_json"),
                    ('{"type": "no"}', "unknown_command"),
                    ('{"type": "run.stop"}', "invalid"),
                    ('{"type": "message.send", "client_id": "%s", "text": " "}' % uuid.uuid4(), "empty"),
                    (
                        '{"type": "message.send", "client_id": "%s", "text": "%s"}' % (uuid.uuid4(), "x" * 1_000_000),
                        "too_large",
                    ),
                    (
                        '{"type": "message.send", "client_id": "%s", "text": "%s"}' % (uuid.uuid4(), "x" * 50_000),
                        "too_large",
                    ),
                    ('{"type": "run.stop", "run": "%s"}' % uuid.uuid4(), "not_found"),
                    ('{"type": "run.sync", "run": "%s"}' % uuid.uuid4(), "not_found"),
                    ('{"type": "run.start", "message": "%s"}' % uuid.uuid4(), "conflict"),
                    ('{"type": "run.start"}', "conflict"),
                ],
                start=1,
            ):
                await ada.transmit(frame)
                error = await ada.hear("error", number)
                assert error["code"] == code, frame[:80]
                assert error["message"].endswith("."), error
            await ada.transmit_bytes(b"\x00\xff")
            assert (await ada.hear("error", number + 1))["code"] == "bad_json"
            await ada.say("Still here")
            assert (await ada.hear("run.finished"))["status"] == "completed"

    scenario(talk)
    assert Message.objects.count() == 2


def test_history_is_loaded_in_pages(scenario: Scenario, people: Any, room: Conversation) -> None:
    Message.objects.bulk_create(
        Message(conversation=room, seq=seq, role="user", author=people["ada"], text=str(seq)) for seq in range(1, 121)
    )

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            assert ada.snapshot is not None
            assert ada.snapshot["more"]
            loaded = [m["seq"] for m in ada.snapshot["messages"]]
            while True:
                await ada.send("history.load", before=loaded[0], limit=40, ref=str(loaded[0]))
                page = await ada.answered(str(loaded[0]))
                loaded = [m["seq"] for m in page["messages"]] + loaded
                if not page["more"]:
                    break
            assert loaded == list(range(1, 121))

    scenario(talk)


def test_typing_is_published_and_ends_with_the_socket(scenario: Scenario, people: Any, room: Conversation) -> None:
    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            async with InProcess(people["bob"], room.pk) as bob:
                for on in (True, True, False, True):
                    await bob.send("typing", on=on)
                await ada.hear("typing", 3)
            await ada.hear("typing", 4)
            assert [frame["on"] for frame in ada.of_type("typing")] == [True, False, True, False]
            assert ada.of_type("typing")[0]["user"]["name"] == "bob"

    scenario(talk)


def test_a_slow_reader_gets_no_deltas_until_it_catches_up_then_the_whole_text(
    scenario: Scenario, people: Any, room: Conversation, model: Any
) -> None:
    model("words@n=600,chars=1000,delay=1")

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada, InProcess(people["bob"], room.pk) as bob:
            for number in (1, 2):
                await ada.say("Hello")
                run = (await ada.hear("run.started", number))["run"]
                while len(ada.finished) < number:
                    before = len(ada.events)
                    await ada.until(lambda before=before: len(ada.events) > before)
                    await ada.send("run.ack", run=run, seq=ada.seqs.get(run, 0))
                if number == 1:
                    await bob.hear("snapshot", 2)
                    assert bob.transcript == ada.transcript, "a client that acknowledges nothing gets the whole once"
            flows = [socket._flow for socket in node.current().hub.sockets if isinstance(socket, ConversationConsumer)]
            while not any(flow.needs_snapshot for flow in flows):
                await asyncio.sleep(0)
            await bob.send("ping", ref="later")
            await bob.answered("later")
            assert not bob.of_type("run.finished"), "it is as long, and would wait in memory for each of them"
            assert len(bob.of_type("snapshot")) == 2, "nor is a snapshot made again for somebody who may not read it"
            received = sum(len(delta.get("text", "")) for delta in bob.of_type("run.delta"))
            assert received < 600_000, "Bob acknowledged nothing"
            await bob.send("run.ack", run=run, seq=bob.seqs[run])
            await bob.hear("snapshot", 3)
            assert ada.delta_chars > 1_000_000
            assert bob.transcript == ada.transcript == 2 * [("user", "Hello"), ("assistant", text(600, 1000))]

    scenario(talk)


def test_a_command_completes_after_its_socket_is_gone_and_only_bugs_are_logged(
    scenario: Scenario, caplog: pytest.LogCaptureFixture
) -> None:
    done = asyncio.Event()

    async def fail(bug: bool) -> None:
        await asyncio.sleep(0.05)
        done.set()
        raise ValueError("a bug") if bug else errors.Refused(errors.ErrorCode.CONFLICT, "Not now.")

    async def leave_during_command(bug: bool) -> None:
        done.clear()
        command = asyncio.create_task(node.current().tasks.run_to_completion(fail(bug)))
        await asyncio.sleep(0)
        command.cancel()
        await asyncio.wait([command])
        await done.wait()
        await asyncio.sleep(0.01)

    async def talk() -> None:
        await leave_during_command(bug=False)
        assert not caplog.records
        await leave_during_command(bug=True)
        assert "a bug" in caplog.text

    scenario(talk)
