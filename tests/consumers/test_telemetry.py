"""The span of a run of the site says to which conversation it belongs, and holds no text unless a setting says so."""

from collections.abc import Callable
from typing import Any

import pytest

from chat.models import Conversation

from ..support.client import InProcess
from ..support.telemetry import installed
from ..support.upstream import text

Scenario = Callable[..., Any]


@pytest.mark.parametrize("traces_content", [False, True])
def test_a_run_is_traced_with_its_conversation(
    scenario: Scenario, people: Any, room: Conversation, model: Any, settings: Any, traces_content: bool
) -> None:
    exporter, _ = installed()
    exporter.clear()
    model("words@n=5")
    settings.NOUS_CHAT = {**settings.NOUS_CHAT, "TRACE_CONTENT": traces_content}

    async def talk() -> str:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("Is anybody there?")
            return str((await ada.hear("run.finished"))["run"])

    run_id = scenario(talk)
    asked, run = (span for span in exporter.get_finished_spans() if "gen_ai.operation.name" in (span.attributes or {}))
    found = dict(run.attributes or {})
    assert found["gen_ai.conversation.id"] == str(room.pk)
    assert found["nous_chat.run.id"] == run_id
    assert found["gen_ai.provider.name"] == "custom"
    assert (text(5) in str(dict(asked.attributes or {}))) is traces_content
    assert ("Is anybody there?" in str(dict(asked.attributes or {}))) is traces_content
