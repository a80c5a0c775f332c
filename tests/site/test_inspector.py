"""The run inspector on a site of several processes: what one records of the readers at the others, and a crash."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from ..support.client import Person, Socket, signed_in
from ..support.servers import Site, Upstream, manage, wait_for

StartSite = Callable[..., Site]
StopAfter = Callable[[Any], Any]

RECORD = "from chat import store; store.start_inspection(None, 1)"
READ = """
import json
from chat.engine.providers import recording
from chat.models import RunRecording
runs = [recording.decode(row.content) for row in RunRecording.objects.all()]
print(json.dumps([[(moment.kind, moment.facts) for moment in run.moments] for run in runs]))
"""


def recorded(site: Site) -> list[list[tuple[str, dict[str, Any]]]]:
    """The moments of each recording: kinds and facts."""
    return [[(kind, facts) for kind, facts in run] for run in json.loads(manage(site.env, "shell", "-v0", "-c", READ))]


async def shared(ada: Person) -> str:
    """A conversation of Ada and Bob, in which each message is answered."""
    room = await ada.new_conversation()
    address = f"/chat/api/conversations/{room}/"
    added = await ada.http.post(f"{address}participants/", json={"username": "bob"}, headers=ada.csrf)
    assert added.status_code == 201
    await ada.http.patch(address, json={"answers": "always"}, headers=ada.csrf)
    return room


def heard(socket: Socket, *names: str) -> bool:
    """Whether one process has said that it serves all of these people."""
    return any({person["name"] for person in frame["people"]} >= {*names} for frame in socket.of_type("presence"))


def test_readers_and_gaps_at_other_processes_are_recorded(
    start_site: StartSite, stop_after: StopAfter, upstream: Upstream, redis: str
) -> None:
    site = start_site(NOUS_CHAT_MODEL="custom:words@n=6,hold=3", REDIS_URL=redis)
    other = stop_after(site.second_process())
    manage(site.env, "shell", "-v0", "-c", RECORD)

    async def talk() -> None:
        async with signed_in(site, "ada") as ada, signed_in(other, "bob") as bob:
            room = await shared(ada)
            async with ada.socket(room) as here:
                await here.say("Hello")
                await here.hear("run.delta")
                async with bob.socket(room, other) as there:
                    run = (await there.hear("run.state"))["run"]
                    await there.send("run.sync", run=run, ref="again")
                    await there.answered("again")
                    await here.until(lambda: heard(here, "bob"))
                    # Ada's process said who it serves before the recording began, and says so again when that changes.
                    async with bob.socket(room, site):
                        await here.until(lambda: heard(here, "ada", "bob"))
                        upstream.release()
                        await there.hear("run.finished")

    asyncio.run(talk())
    (moments,) = wait_for(lambda: recorded(site))
    assert {facts["name"] for kind, facts in moments if kind == "reads"} >= {"ada", "bob"}
    kinds = [kind for kind, _ in moments]
    assert {"synced_opened", "synced_gap"} <= set(kinds)
    assert kinds.index("synced_opened") < kinds.index("ended")


def test_a_killed_process_leaves_no_recording_and_the_next_run_has_one(
    start_site: StartSite, stop_after: StopAfter, upstream: Upstream, redis: str
) -> None:
    site = start_site(NOUS_CHAT_MODEL="custom:told", REDIS_URL=redis)
    other = stop_after(site.second_process())
    manage(site.env, "shell", "-v0", "-c", RECORD)

    async def talk() -> None:
        async with signed_in(site, "ada") as ada:
            room = await ada.new_conversation()
            async with ada.socket(room) as here:
                await here.say("flowing")
                await here.hear("run.delta")
                site.kill()
            async with ada.socket(room, other) as there:
                assert (await there.ended_answer())["run"]["status"] == "interrupted"
                await there.say("words@n=3")
                await there.until(lambda: there.of_type("run.finished")[-1:] and there.answer["text"])

    asyncio.run(talk())
    (moments,) = wait_for(lambda: recorded(other))
    assert ("ended", {"status": "completed"}) in moments
