"""Actions on runs: start one without a new message, stop one, decide on a tool call."""

from .. import store
from ..protocol import commands, events
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
        await caller.publish(events.RunFinished.of(ended.run, ended.message))
        caller.start(ended.next)
        await caller.changed()


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
