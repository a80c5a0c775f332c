"""Actions on runs: start one without a new message, stop one, decide on a tool call."""

from functools import partial
from typing import Any
from uuid import UUID

from .. import store
from ..concurrency import after_commit
from ..node import node
from ..protocol import commands, events
from ..realtime import inbox, run_ends
from ..store import executor
from .caller import Caller


async def start(caller: Caller, command: commands.RunStart) -> None:
    """Ask an agent without a new message: for an answer, another answer, or the rest of one. Raises Refused."""
    caller.require_running_node()
    with caller.reserve() as host:
        run_id = await executor.run(
            store.request_run,
            caller.user_id,
            caller.conversation_id,
            command.message,
            host,
            command.agent,
            continues=command.continues,
            unattended=caller.unattended,
        )
        caller.start(run_id)
    await caller.reply(events.Ack(ref=command.ref, run=run_id))
    await caller.changed()


async def stop(caller: Caller, command: commands.RunStop) -> None:
    """Stop a run, whichever process makes it. Raises Refused."""
    node = caller.node
    ended = await executor.run_urgent(
        store.request_stop, caller.user_id, caller.conversation_id, command.run, "" if caller.elsewhere else node.host
    )
    await node.supervisor.stop(command.run, caller.conversation_id)
    await caller.reply(events.Ack(ref=command.ref, run=command.run))
    if ended is not None:  # no process was making it
        await run_ends.publish(ended)
        caller.start(ended.next)
        await caller.changed()


def stop_by_staff(user_id: Any, conversation_id: UUID, run_id: UUID) -> None:
    """Stop a run from the admin: the user need not take part in its conversation. Synchronous. Raises Refused."""
    ended = store.request_stop_by_staff(user_id, conversation_id, run_id)
    after_commit(partial(_publish_stop, conversation_id, run_id, ended))


async def stop_from_dashboard(user_id: Any, run_id: UUID) -> None:
    """The same from the dashboard, which names the run alone. Raises Refused, also without the permission."""
    conversation_id, ended = await executor.run_urgent(store.request_stop_from_dashboard, user_id, run_id)
    await _publish_stop(conversation_id, run_id, ended)


async def _publish_stop(conversation_id: UUID, run_id: UUID, ended: store.FinishedRun | None) -> None:
    await node.current().supervisor.stop(run_id, conversation_id)
    if ended is not None:  # no process was making it; the next one is adopted by any
        await run_ends.publish(ended)
        await inbox.announce(conversation_id)


async def decide(caller: Caller, command: commands.ToolDecide) -> None:
    """Approve or reject a tool call. The last decision of a run lets it continue. Raises Refused."""
    caller.require_running_node()
    with caller.reserve() as host:
        decided = await executor.run(
            store.decide_call, caller.user_id, caller.conversation_id, command, host, caller.unattended
        )
        if decided.start:
            caller.start(decided.run)
            await caller.changed()
    await caller.reply(events.Ack(ref=command.ref, run=decided.run))
    await caller.publish(events.RunTool(run=decided.run, seq=decided.seq, call=decided.call))
