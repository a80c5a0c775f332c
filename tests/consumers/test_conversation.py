"""A conversation over its socket, in this process: real consumers, a real provider, whichever channel layer is set."""

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from channels.layers import InMemoryChannelLayer

from chat import store
from chat.consumers import base
from chat.models import Conversation, Message, Participant, Run
from chat.node import node
from chat.protocol import errors
from chat.runs import run, supervisor

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
            assert ada.delta_chars == len(text(30)), "the deltas alone were the text, too"
            order = [e["type"] for e in bob.events if e["type"].startswith("run.")]
            assert order[0] == "run.started"
            assert order[-1] == "run.finished"

    scenario(talk)
    assert Message.objects.get(role="assistant").text == text(30)
    run = Run.objects.get()
    assert (run.status, run.finish_reason, run.model) == ("completed", "stop", "custom:words@n=30")


def test_thinking_arrives_and_is_stored_apart(scenario: Scenario, people: Any, room: Conversation, model: Any) -> None:
    model("thinking@n=5")

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("Think")
            message = (await ada.hear("run.finished"))["message"]
            assert message["thinking"]
            assert message["text"]
            assert any("thinking" in delta for delta in ada.of_type("run.delta"))

    scenario(talk)


def test_the_snapshot_comes_first_and_holds_what_was(
    scenario: Scenario, people: Any, room: Conversation, model: Any
) -> None:
    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("Hello")
            await ada.hear("run.finished")
        async with InProcess(people["bob"], room.pk) as bob:
            snapshot = bob.events[0]
            assert snapshot["you"] == {"id": str(people["bob"].pk), "name": "bob", "role": "member", "staff": False}
            assert [m["text"] for m in snapshot["messages"]] == ["Hello", text(30)]
            assert [p["user"]["name"] for p in snapshot["participants"]] == ["ada", "bob"]
            assert (snapshot["more"], snapshot["runs"]) == (False, [])
            assert snapshot["conversation"]["title"] == "Hello"

    scenario(talk)


def test_who_joins_in_mid_stream_gets_it_from_the_start(
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
                whole = all_said(await bob.hear("run.finished"))
                assert whole.startswith(state["message"]["text"])
                assert bob.transcript[-1] == ("assistant", whole)

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


def test_stop_keeps_the_partial_text_tells_everybody_and_reaches_the_provider(
    scenario: Scenario, people: Any, room: Conversation, model: Any, upstream: Upstream
) -> None:
    model("flowing")
    aborted = upstream.stats()["aborted"]

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada, InProcess(people["bob"], room.pk) as bob:
            await ada.say("Hello")
            run = (await ada.hear("run.started"))["run"]
            await ada.hear("run.delta", 3)
            await ada.send("run.stop", run=run, ref="stop")
            assert (await ada.answered("stop"))["run"] == run
            for peer in (ada, bob):
                finished = await peer.hear("run.finished")
                assert finished["status"] == "stopped"
                assert finished["stopped_by"]["name"] == "ada"
                assert finished["error"] is None
                assert text(10_000).startswith(finished["message"]["text"])
                assert finished["message"]["text"]

    scenario(talk)
    assert upstream.ended()["aborted"] == aborted + 1


def test_stop_works_before_the_first_token(scenario: Scenario, people: Any, room: Conversation, model: Any) -> None:
    model("silent")

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("Hello")
            await ada.send("run.stop", run=(await ada.hear("run.started"))["run"])
            finished = await ada.hear("run.finished")
            assert (finished["status"], finished["message"]["text"]) == ("stopped", "")

    scenario(talk)


def test_a_stop_reaches_the_run_even_if_nobody_tells_it(
    scenario: Scenario, people: Any, room: Conversation, model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The column is the authority: a stop whose message is lost takes effect with the next heartbeat."""
    model("flowing")

    async def lost(*_: Any) -> None:
        return None

    monkeypatch.setattr(supervisor.Supervisor, "stop", lost)

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("Hello")
            await ada.send("run.stop", run=(await ada.hear("run.started"))["run"])
            assert (await ada.hear("run.finished"))["status"] == "stopped"

    scenario(talk)


def test_a_member_cannot_stop_what_somebody_else_asked(
    scenario: Scenario, people: Any, room: Conversation, model: Any
) -> None:
    model("flowing")

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada, InProcess(people["bob"], room.pk) as bob:
            await ada.say("Hello")
            await bob.send("run.stop", run=(await bob.hear("run.started"))["run"], ref="x")
            assert (await bob.answered("x"))["code"] == "forbidden"
            await bob.send("ping", ref="y")
            assert (await bob.answered("y"))["type"] == "pong"
            await ada.send("run.stop", run=ada.of_type("run.started")[0]["run"])
            await ada.hear("run.finished")

    scenario(talk)


def test_a_message_during_ones_own_run_interrupts_it_and_both_are_answered(
    scenario: Scenario, people: Any, room: Conversation, model: Any
) -> None:
    model("flowing")

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("One")
            await ada.hear("run.delta", 2)
            model("echo")
            await ada.say("Two")
            await ada.hear("run.finished", 2)
            first, second = ada.finished
            assert (first["status"], second["status"]) == ("stopped", "completed")
            assert [role for role, _ in ada.transcript] == ["user", "assistant", "user", "assistant"]
            assert ada.answer["text"].strip() == "Two"

    scenario(talk)


def test_a_queued_message_waits_for_the_answer_and_gets_the_next(
    scenario: Scenario, people: Any, room: Conversation, model: Any, upstream: Upstream
) -> None:
    model("flowing")

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada, InProcess(people["bob"], room.pk) as bob:
            await ada.say("One")
            await bob.hear("run.delta")
            await bob.say("Two")
            await bob.hear("message.created", 2)
            assert not bob.finished
            model("words@n=5")
            upstream.release()
            await ada.hear("run.finished", 2)
            assert [frame["status"] for frame in ada.finished] == ["completed", "completed"]
            assert ada.finished[1]["message"]["run"]["launched_by"]["name"] == "bob"

    scenario(talk)


@pytest.mark.parametrize(
    ("name", "others", "code", "word"),
    [
        ("status@code=401", {}, "authentication", "key"),
        ("status@code=429,retry_after=7", {}, "rate_limited", ""),
        ("status@code=500", {}, "server_error", ""),
        ("deaf", {"FIRST_TOKEN_TIMEOUT": 0.3}, "first_token_timeout", ""),
        ("silent", {"FIRST_TOKEN_TIMEOUT": 0.3}, "first_token_timeout", ""),
        ("stall@n=5", {"IDLE_TIMEOUT": 1.5}, "idle_timeout", ""),  # the five words have to come within it
        ("drone@n=5,delay=20", {"IDLE_TIMEOUT": 1.5}, "idle_timeout", ""),
        ("flowing", {"TOTAL_TIMEOUT": 0.5}, "total_timeout", ""),
        ("cut@n=5", {}, "stream_cut", ""),
        ("unfinished@n=5", {}, "stream_cut", ""),
        ("garbage", {}, "bad_response", ""),
    ],
)
def test_a_provider_that_fails_ends_the_run_with_a_code_a_sentence_and_the_text_so_far(
    scenario: Scenario,
    people: Any,
    room: Conversation,
    model: Any,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    others: Any,
    code: str,
    word: str,
) -> None:
    monkeypatch.setenv("NOUS_CHAT_MAX_RETRIES", "0")
    model(name, **others)

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("Hello")
            finished = await ada.hear("run.finished")
            error = finished["error"]
            assert (finished["status"], error["code"]) == ("failed", code)
            assert error["message"].endswith((".", "?"))
            assert word in error["message"]
            assert "0123456789" not in str(finished), "no key is shown"
            if "retry_after" in name:
                assert error["retry_after"] == 7
            if "n=5" in name:
                assert finished["message"]["text"] == text(5)
            model("words@n=7")
            await ada.send("run.start", message=finished["message"]["id"], ref="again")
            assert (await ada.answered("again"))["type"] == "ack"
            again = await ada.hear("run.finished", 2)
            assert (again["status"], again["message"]["text"]) == ("completed", text(7))
            assert again["message"]["alternatives"] == [finished["message"]["id"], again["message"]["id"]]
            assert ada.transcript == [("user", "Hello"), ("assistant", text(7))]

    scenario(talk)


@pytest.mark.parametrize("name", ["openai:gpt-4o", "nosuch:model", "nothing"])
def test_an_agent_that_is_not_set_up_says_what_to_do(
    scenario: Scenario, people: Any, room: Conversation, settings: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    settings.NOUS_CHAT = {"MODEL": name}

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("Hello")
            finished = await ada.hear("run.finished")
            assert (finished["status"], finished["error"]["code"]) == ("failed", "configuration")

    scenario(talk)


def test_a_provider_that_is_down_is_unreachable(
    scenario: Scenario, people: Any, room: Conversation, model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUSTOM_BASE_URL", "http://127.0.0.1:1/v1")

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("Hello")
            assert (await ada.hear("run.finished"))["error"]["code"] == "unreachable"

    scenario(talk)


def test_bad_frames_get_an_error_and_the_socket_stays(
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


def test_a_run_that_is_over_cannot_be_stopped_and_syncs_to_its_end(
    scenario: Scenario, people: Any, room: Conversation, model: Any
) -> None:
    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("Hello")
            run = (await ada.hear("run.finished"))["run"]
            await ada.send("run.stop", run=run, ref="stop")
            assert (await ada.answered("stop"))["code"] == "run_over"
            await ada.send("run.sync", run=run, ref="sync")
            assert (await ada.answered("sync"))["message"]["text"] == text(30)
            await ada.send("run.ack", run=run, seq=3, ref="ack")
            assert (await ada.answered("ack"))["type"] == "ack"

    scenario(talk)


def test_history_is_loaded_in_pages(scenario: Scenario, people: Any, room: Conversation) -> None:
    Message.objects.bulk_create(
        Message(conversation=room, seq=seq, role="user", author=people["ada"], text=str(seq)) for seq in range(1, 121)
    )

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            assert ada.snapshot is not None
            assert ada.snapshot["more"]
            seen = [m["seq"] for m in ada.snapshot["messages"]]
            while True:
                await ada.send("history.load", before=seen[0], limit=40, ref=str(seen[0]))
                page = await ada.answered(str(seen[0]))
                seen = [m["seq"] for m in page["messages"]] + seen
                if not page["more"]:
                    break
            assert seen == list(range(1, 121))

    scenario(talk)


def test_typing_is_shown_and_ends_with_the_socket(scenario: Scenario, people: Any, room: Conversation) -> None:
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


@pytest.mark.parametrize("which", ["room", "none", "malformed"])
def test_a_room_that_is_not_yours_and_one_that_is_not_there_close_alike(
    scenario: Scenario, people: Any, room: Conversation, which: str
) -> None:
    address = {"room": room.pk, "none": uuid.uuid4(), "malformed": "not-a-uuid"}[which]

    async def talk() -> None:
        async with InProcess(people["eve"], address) as eve:
            assert await eve.shut() == 4404
            assert eve.events == []

    scenario(talk)


def test_who_is_not_signed_in_is_told_so(scenario: Scenario, room: Conversation) -> None:
    from django.contrib.auth.models import AnonymousUser

    async def talk() -> None:
        for address in (room.pk, ""):
            async with InProcess(AnonymousUser(), address) as nobody:
                assert await nobody.shut() == 4401

    scenario(talk)


def test_leaving_ends_the_run_after_the_grace_with_the_text_kept(
    scenario: Scenario, people: Any, room: Conversation, model: Any, upstream: Upstream
) -> None:
    model("flowing", DISCONNECT_GRACE=0.2)

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("Hello")
            await ada.hear("run.delta", 3)
        async with asyncio.timeout(30):
            while upstream.stats()["active"]:
                await asyncio.sleep(0.05)

    scenario(talk)
    run = Run.objects.get()
    assert (run.status, run.error_code, run.stopped_by) == ("stopped", "abandoned", None)
    assert run.message is not None
    assert run.message.text
    assert text(10_000).startswith(run.message.text)


async def grace_is_over() -> None:
    """It is decided of everybody who left whether somebody reads on."""
    async with asyncio.timeout(30):
        while node.current().supervisor._abandonment._checks:
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("who", ["ada", "bob"])
def test_a_run_goes_on_while_its_user_comes_back_or_somebody_else_reads(
    scenario: Scenario, people: Any, room: Conversation, model: Any, upstream: Upstream, who: str
) -> None:
    model("flowing", DISCONNECT_GRACE=3)  # in which the reader has to come

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("Hello")
            await ada.hear("run.delta", 2)
        async with InProcess(people[who], room.pk) as reader:
            await grace_is_over()
            upstream.release()
            finished = await reader.hear("run.finished")
            assert (finished["status"], finished["message"]["text"]) == ("completed", all_said(finished))

    scenario(talk)


def test_the_last_reader_who_leaves_counts_even_if_he_did_not_launch_the_run(
    scenario: Scenario, people: Any, room: Conversation, model: Any
) -> None:
    model("flowing", DISCONNECT_GRACE=0.2)

    async def talk() -> None:
        async with InProcess(people["bob"], room.pk) as bob:
            async with InProcess(people["ada"], room.pk) as ada:
                await ada.say("Hello")
                await bob.hear("run.delta", 2)
            await grace_is_over()
            assert not bob.finished
        async with asyncio.timeout(30):
            while await Run.objects.filter(status="running").aexists():
                await asyncio.sleep(0.05)

    scenario(talk)
    assert Run.objects.get().error_code == "abandoned"


@pytest.mark.parametrize(("policy", "status"), [("always", "stopped"), ("never", "completed")])
def test_the_site_can_choose_what_leaving_means(
    scenario: Scenario, people: Any, room: Conversation, model: Any, upstream: Upstream, policy: str, status: str
) -> None:
    model("flowing", CANCEL_ON_DISCONNECT=policy, DISCONNECT_GRACE=0)

    async def talk() -> None:
        async with InProcess(people["bob"], room.pk) as bob:
            async with InProcess(people["ada"], room.pk) as ada:
                await ada.say("Hello")
                await bob.hear("run.delta", 2)
            if status == "completed":
                heard = len(bob.of_type("run.delta"))
                await bob.hear("run.delta", heard + 20)
                upstream.release()
            assert (await bob.hear("run.finished"))["status"] == status

    scenario(talk)


def test_a_launcher_that_began_anew_meanwhile_is_still_the_launcher(
    scenario: Scenario, people: Any, room: Conversation, model: Any
) -> None:
    model("flowing", CANCEL_ON_DISCONNECT="always")

    async def talk() -> None:
        async with InProcess(people["bob"], room.pk) as bob:
            async with InProcess(people["ada"], room.pk) as ada:
                await ada.say("Hello")
                await ada.hear("run.delta")
                for reader in node.current().hub.sockets:
                    reader.resnapshot()
                await ada.hear("snapshot", 2)
            assert (await bob.hear("run.finished"))["status"] == "stopped"

    scenario(talk)


def test_a_deploy_lets_runs_finish_refuses_new_ones_and_interrupts_what_takes_too_long(
    scenario: Scenario, people: Any, room: Conversation, model: Any
) -> None:
    model("flowing")

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("Hello")
            await ada.hear("run.delta", 2)
            draining = asyncio.create_task(node.current().drain(0.3))
            assert await ada.shut() == 1012
            assert ada.events[-1]["type"] == "closing"
            async with InProcess(people["bob"], room.pk) as bob:
                assert await bob.shut() == 1012
            await draining

    scenario(talk)
    run = Run.objects.get()
    assert (run.status, run.error_code) == ("interrupted", "shutdown")
    assert run.message is not None
    assert run.message.text


def test_what_was_to_follow_a_run_that_ended_with_the_process_is_left_to_others(
    scenario: Scenario, people: Any, room: Conversation, model: Any, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    model("flowing")
    drains: list[asyncio.Task[None]] = []
    ending = run.LiveRun._end

    async def late(live: run.LiveRun, started: store.StartedRun) -> uuid.UUID | None:
        following = await ending(live, started)
        if not drains:
            drains.append(asyncio.create_task(node.current().drain(5)))
            await asyncio.sleep(0.5)
        return following

    monkeypatch.setattr(run.LiveRun, "_end", late)

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("Hello")
            await ada.hear("run.delta")
            await ada.say("And then?", mode="queue", ref="queued")
            assert (await ada.answered("queued"))["type"] == "ack"
            upstream.release()
            assert await ada.shut() == 1012
            await drains[0]

    scenario(talk)
    following = Run.objects.exclude(status="completed").get()
    assert (following.status, following.host) == ("queued", "")


def test_a_slow_reader_gets_no_more_until_it_has_caught_up_then_everything(
    scenario: Scenario, people: Any, room: Conversation, model: Any
) -> None:
    model("words@n=600,chars=1000,delay=1")

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada, InProcess(people["bob"], room.pk) as bob:
            await ada.say("Hello")
            run = (await ada.hear("run.started"))["run"]
            while not ada.finished:
                seen = len(ada.events)
                await ada.until(lambda seen=seen: len(ada.events) > seen)
                await ada.send("run.ack", run=run, seq=ada.seqs[run])
            await bob.hear("run.finished")
            received = sum(len(delta.get("text", "")) for delta in bob.of_type("run.delta"))
            assert received < 300_000, "bob acknowledged nothing"
            assert ada.delta_chars > 500_000
            assert bob.transcript == ada.transcript == [("user", "Hello"), ("assistant", text(600, 1000))]

    scenario(talk)


def test_the_inbox_hears_of_each_conversation(
    scenario: Scenario, people: Any, room: Conversation, model: Any, upstream: Upstream
) -> None:
    model("flowing")

    async def talk() -> None:
        async with InProcess(people["bob"]) as inbox, InProcess(people["ada"], room.pk) as ada:
            assert [c["id"] for c in inbox.events[0]["conversations"]] == [str(room.pk)]

            def told() -> list[bool]:
                return [update["conversation"]["running"] for update in inbox.of_type("conversation.updated")]

            await ada.say("Hello")
            await ada.hear("run.delta")
            await inbox.until(lambda: True in told())
            assert inbox.of_type("conversation.updated")[-1]["conversation"]["title"] == "Hello"
            upstream.release()
            await inbox.until(lambda: told()[-1] is False)
            assert len(told()) < 6, "what changes in one moment is told once"
            await inbox.say("Not here", ref="x")
            assert (await inbox.answered("x"))["code"] == "unknown_command"
            await inbox.send("ping", ref="y")
            assert (await inbox.answered("y"))["type"] == "pong"

    scenario(talk)


def test_two_tabs_that_close_together_do_not_end_what_somebody_else_reads(
    scenario: Scenario, people: Any, room: Conversation, model: Any, upstream: Upstream
) -> None:
    model("flowing", DISCONNECT_GRACE=0.2)

    async def talk() -> None:
        async with InProcess(people["bob"], room.pk) as bob:
            async with InProcess(people["ada"], room.pk) as one, InProcess(people["ada"], room.pk) as two:
                await one.say("Hello")
                await two.hear("run.delta", 2)
                supervisor = node.current().supervisor
                supervisor.reader_left(room.pk, "one")
                supervisor.reader_left(room.pk, "two")
            await grace_is_over()
            upstream.release()
            assert (await bob.hear("run.finished"))["status"] == "completed"

    scenario(talk)


def test_who_was_removed_cannot_sync_any_more(scenario: Scenario, people: Any, room: Conversation, model: Any) -> None:
    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada, InProcess(people["bob"], room.pk) as bob:
            await ada.say("Hello")
            run = (await bob.hear("run.finished"))["run"]
            await Participant.objects.filter(user=people["bob"]).adelete()
            await bob.send("run.sync", run=run, ref="1")
            assert (await bob.answered("1"))["code"] == "not_found"

    scenario(talk)


def test_a_run_of_another_conversation_is_not_heard_here(
    scenario: Scenario, people: Any, room: Conversation, model: Any
) -> None:
    """Bob was in it and knows its run; he is in another conversation of the same process."""
    model("flowing")
    Participant.objects.filter(user=people["bob"]).delete()
    other = Conversation.objects.create(agent="assistant")
    Participant.objects.create(conversation=other, user=people["bob"], role="owner")

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada, InProcess(people["bob"], other.pk) as bob:
            await ada.say("Hello")
            run = (await ada.hear("run.delta"))["run"]
            await bob.send("run.sync", run=run, ref="1")
            assert (await bob.answered("1"))["code"] == "not_found"
            await ada.send("run.stop", run=run)
            await ada.hear("run.finished")

    scenario(talk)


def test_a_socket_that_cannot_be_served_is_closed_with_a_code_that_every_server_can_send(
    scenario: Scenario, people: Any, room: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise OSError("the layer is away")

    async def talk() -> None:
        monkeypatch.setattr(base, "mailbox", fails)
        async with InProcess(people["ada"], room.pk) as ada:
            assert await ada.shut() == 4011

    scenario(talk)


def test_who_comes_before_it_is_known_that_the_layer_is_away_is_told_so_and_is_to_come_again(
    scenario: Scenario, people: Any, room: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}

    async def hangs(*_: object) -> None:
        await asyncio.sleep(60)

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.hear("snapshot")
            monkeypatch.setattr(InMemoryChannelLayer, "group_add", hangs)
            async with InProcess(people["ada"], room.pk) as late:
                assert await late.shut() == 4011
                assert [event["code"] for event in late.events] == ["layer_away"]

    scenario(talk)


def test_what_a_socket_asked_for_is_seen_through_and_its_refusal_heard_by_nobody_is_no_error(
    scenario: Scenario, caplog: pytest.LogCaptureFixture
) -> None:
    done = asyncio.Event()

    async def refused(bug: bool) -> None:
        await asyncio.sleep(0.05)
        done.set()
        raise ValueError("a bug") if bug else errors.Refused(errors.ErrorCode.CONFLICT, "Not now.")

    async def leave(bug: bool) -> None:
        done.clear()
        asking = asyncio.create_task(node.current().tasks.run_to_completion(refused(bug)))
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait([asking])
        await done.wait()
        await asyncio.sleep(0.01)

    async def talk() -> None:
        await leave(bug=False)
        assert not caplog.records
        await leave(bug=True)
        assert "a bug" in caplog.text

    scenario(talk)
