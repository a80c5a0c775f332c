"""What can be done to a World and to the people in it, by the name that a Step has."""

from collections.abc import Awaitable, Callable

from .schedule import Step
from .trial import Stage

# --- To the servers


async def kill(stage: Stage, step: Step) -> None:
    """SIGKILL, and the process again on the same port."""
    await stage.world.restart(stage.world.processes[step.process], gracefully=False, after=step.seconds / 4)


async def terminate(stage: Stage, step: Step) -> None:
    """SIGTERM, and the process again on the same port when it has drained."""
    await stage.world.restart(stage.world.processes[step.process], gracefully=True, after=step.seconds / 4)


async def freeze(stage: Stage, step: Step) -> None:
    """SIGSTOP, SIGCONT: a process that others take for dead comes back."""
    process = stage.world.processes[step.process]
    await stage.world.freeze(process.site, process.busy, step.seconds)


async def restart_redis(stage: Stage, step: Step) -> None:
    await stage.world.restart_redis(step.seconds / 2)


async def pause_redis(stage: Stage, step: Step) -> None:
    await stage.world.freeze(stage.world.redis, stage.world.busy["redis"], step.seconds)


async def cut_redis(stage: Stage, step: Step) -> None:
    async with stage.world.busy["redis"]:
        await stage.world.layer.cut(step.seconds)


async def pause_database(stage: Stage, step: Step) -> None:
    async with stage.world.busy["database"]:
        await stage.world.database.hold(step.seconds)


async def cut_database(stage: Stage, step: Step) -> None:
    async with stage.world.busy["database"]:
        await stage.world.database.cut(step.seconds)


async def pause_provider(stage: Stage, step: Step) -> None:
    await stage.world.freeze(stage.world.upstream, stage.world.busy["provider"], step.seconds)


# --- By people and to their browsers


async def say(stage: Stage, step: Step) -> None:
    await stage.browser(step).post(step.text)


async def stop(stage: Stage, step: Step) -> None:
    await stage.browser(step).stop_answer()


async def retry(stage: Stage, step: Step) -> None:
    await stage.browser(step).retry()


async def approve(stage: Stage, step: Step) -> None:
    await stage.browser(step).approve()


async def edit(stage: Stage, step: Step) -> None:
    await stage.browser(step).edit(step.text)


async def edit_and_resend(stage: Stage, step: Step) -> None:
    await stage.browser(step).edit(step.text, resend=True)


async def delete(stage: Stage, step: Step) -> None:
    await stage.browser(step).delete()


async def restore(stage: Stage, step: Step) -> None:
    await stage.browser(step).restore()


async def choose(stage: Stage, step: Step) -> None:
    await stage.browser(step).choose()


async def go_on(stage: Stage, step: Step) -> None:
    await stage.browser(step).go_on()


async def page(stage: Stage, step: Step) -> None:
    await stage.browser(step).send("history.load", before=2, limit=1)


async def disconnect(stage: Stage, step: Step) -> None:
    stage.browser(step).disconnect()


async def reload(stage: Stage, step: Step) -> None:
    stage.browser(step).reload()


async def move(stage: Stage, step: Step) -> None:
    """The network changes, and the balancer chooses another process."""
    browser = stage.browser(step)
    browser.process = step.process - 1
    browser.disconnect()


async def stall(stage: Stage, step: Step) -> None:
    """It reads nothing."""
    await stage.browser(step).stall(step.seconds)


FAULTS: dict[str, Callable[[Stage, Step], Awaitable[None]]] = {
    fault.__name__.replace("_", " "): fault
    for fault in (
        kill, terminate, freeze, restart_redis, pause_redis, cut_redis, pause_database, cut_database, pause_provider,
        say, stop, retry, go_on, approve, edit, edit_and_resend, delete, restore, choose, page, disconnect, reload,
        move, stall,
    )
}  # fmt: skip
