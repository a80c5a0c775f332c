"""The faults and the actions of users, by the names that a Step uses."""

from collections.abc import Awaitable, Callable

from .documents import TypingBrowser
from .schedule import Step
from .trial import Trial

# --- Faults of servers


async def kill(trial: Trial, step: Step) -> None:
    """SIGKILL a process, and start it again on the same port."""
    await trial.cluster.restart(trial.cluster.processes[step.process], gracefully=False, after=step.seconds / 4)


async def terminate(trial: Trial, step: Step) -> None:
    """SIGTERM a process, and start it again on the same port after its drain."""
    await trial.cluster.restart(trial.cluster.processes[step.process], gracefully=True, after=step.seconds / 4)


async def freeze(trial: Trial, step: Step) -> None:
    """SIGSTOP, then SIGCONT: others may think a process dead, and it comes back."""
    process = trial.cluster.processes[step.process]
    await trial.cluster.freeze(process.site, process.lock, step.seconds)


async def restart_redis(trial: Trial, step: Step) -> None:
    await trial.cluster.restart_redis(step.seconds / 2)


async def pause_redis(trial: Trial, step: Step) -> None:
    await trial.cluster.freeze(trial.cluster.redis, trial.cluster.locks["redis"], step.seconds)


async def cut_redis(trial: Trial, step: Step) -> None:
    async with trial.cluster.locks["redis"]:
        await trial.cluster.redis_proxy.cut(step.seconds)


async def pause_database(trial: Trial, step: Step) -> None:
    async with trial.cluster.locks["database"]:
        await trial.cluster.database.hold(step.seconds)


async def cut_database(trial: Trial, step: Step) -> None:
    async with trial.cluster.locks["database"]:
        await trial.cluster.database.cut(step.seconds)


async def pause_provider(trial: Trial, step: Step) -> None:
    await trial.cluster.freeze(trial.cluster.upstream, trial.cluster.locks["provider"], step.seconds)


# --- Actions of users, and faults of their browsers


async def post(trial: Trial, step: Step) -> None:
    await trial.browser(step).post(step.text)


async def stop(trial: Trial, step: Step) -> None:
    await trial.browser(step).stop_answer()


async def retry(trial: Trial, step: Step) -> None:
    await trial.browser(step).retry()


async def continue_answer(trial: Trial, step: Step) -> None:
    await trial.browser(step).continue_answer()


async def approve(trial: Trial, step: Step) -> None:
    await trial.browser(step).approve()


async def edit(trial: Trial, step: Step) -> None:
    await trial.browser(step).edit(step.text)


async def edit_and_resend(trial: Trial, step: Step) -> None:
    await trial.browser(step).edit(step.text, resend=True)


async def delete(trial: Trial, step: Step) -> None:
    await trial.browser(step).delete()


async def restore(trial: Trial, step: Step) -> None:
    await trial.browser(step).restore()


async def choose(trial: Trial, step: Step) -> None:
    await trial.browser(step).choose()


async def load_history(trial: Trial, step: Step) -> None:
    await trial.browser(step).send("history.load", before=2, limit=1)


async def disconnect(trial: Trial, step: Step) -> None:
    trial.browser(step).disconnect()


async def reload(trial: Trial, step: Step) -> None:
    trial.browser(step).reload()


async def switch_process(trial: Trial, step: Step) -> None:
    """The network changes, and the load balancer chooses another process."""
    browser = trial.browser(step)
    browser.process = step.process - 1
    browser.disconnect()


def _typist(trial: Trial, step: Step) -> TypingBrowser:
    browser = trial.browser(step)
    assert isinstance(browser, TypingBrowser)
    return browser


async def take_over(trial: Trial, step: Step) -> None:
    await _typist(trial, step).send("document.take_over", document=_typist(trial, step).document)


async def propose(trial: Trial, step: Step) -> None:
    await _typist(trial, step).propose(step.text)


async def resolve(trial: Trial, step: Step) -> None:
    await _typist(trial, step).resolve()


async def restore_version(trial: Trial, step: Step) -> None:
    await _typist(trial, step).restore_version()


async def rename(trial: Trial, step: Step) -> None:
    await _typist(trial, step).rename()


async def delete_document(trial: Trial, step: Step) -> None:
    """Its creator deletes it for some seconds."""
    await _typist(trial, step).delete_document(step.seconds)


async def stall(trial: Trial, step: Step) -> None:
    """The browser stops reading for some seconds."""
    await trial.browser(step).stall(step.seconds)


FAULTS: dict[str, Callable[[Trial, Step], Awaitable[None]]] = {
    fault.__name__.replace("_", " "): fault
    for fault in (
        kill, terminate, freeze, restart_redis, pause_redis, cut_redis, pause_database, cut_database, pause_provider,
        post, stop, retry, continue_answer, approve, edit, edit_and_resend, delete, restore, choose, load_history,
        disconnect, reload, switch_process, stall, take_over, propose, resolve,
        restore_version, rename, delete_document,
    )
}  # fmt: skip
