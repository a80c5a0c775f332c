"""The admin of agents in the database: the form, its versions, and trying one. Who may: test_authorization.py."""

import json
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from chat import agents, engine, store
from chat.admin import agents as agent_admin
from chat.conf import AgentConf
from chat.models import AgentVersion, Run, StoredAgent
from chat.runs import trial

from ..support.store_helpers import begin, end

FORM = {"name": "Clerk", "slug": "clerk", "enabled": "on", "max_turns": "10"}


def url(name: str, *args: object) -> str:
    return reverse(f"admin:nous_chat_storedagent_{name}", args=args)


def save(client: Client, *args: object, **fields: Any) -> Any:
    given = FORM | fields
    return client.post(url("change" if args else "add", *args), given)


def test_the_form_makes_an_agent_and_its_versions(admin_client: Client) -> None:
    saved = save(
        admin_client,
        model="demo:tour",
        instructions="Be brief.\nBe kind.",
        starters="One\n\n Two ",
        temperature="0.5",
        reasoning_effort="low",
        images="on",
    )
    assert saved.status_code == 302, saved.content.decode()
    expected = AgentConf(
        name="Clerk",
        model="demo:tour",
        instructions="Be brief.\nBe kind.",
        starters=("One", "Two"),
        temperature=0.5,
        reasoning_effort="low",
    )
    assert store.get_agent_version("clerk", 1) == expected
    row = StoredAgent.objects.get()
    page = admin_client.get(url("change", row.pk)).content.decode()
    assert "Be kind." in page
    save(admin_client, row.pk, instructions="Be brief.\nBe funny.", images="on", based_on="1")
    versions = admin_client.get(url("versions", row.pk)).content.decode()
    assert "<del>Be kind.</del>" in versions
    assert "<ins>Be funny.</ins>" in versions
    assert admin_client.post(url("restore", row.pk, 1)).status_code == 302
    assert store.get_agent_version("clerk", 3) == expected
    assert AgentVersion.objects.get(number=3).saved_by is not None
    assert LogEntry.objects.latest("pk").change_message == "Restored version 1."


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"slug": "assistant"}, "settings have an agent with this ID"),
        ({"model": "nobody:x"}, "nobody:x is no model"),
        ({"fallback": "demo\nnobody:x"}, "nobody:x is no model"),
        ({"tools": "os.system"}, "os.system is not one of the available choices"),
        ({"groups": "Nobody"}, "Nobody is not one of the available choices"),
        ({"picture": "http://example.org/a.png"}, "Give a path on this site"),
        ({"picture": "javascript:alert(1)"}, "Give a path on this site"),
    ],
)
def test_what_the_site_does_not_have_is_an_error_of_its_field(
    admin_client: Client, fields: dict[str, str], problem: str
) -> None:
    answer = save(admin_client, **fields)
    assert answer.status_code == 200
    assert problem in answer.content.decode()
    assert not StoredAgent.objects.exists()


def test_an_id_that_an_agent_has_is_an_error(admin_client: Client) -> None:
    save(admin_client)
    assert "already exists" in save(admin_client).content.decode()
    assert StoredAgent.objects.count() == 1


def test_nobody_saves_over_what_others_have_saved(admin_client: Client) -> None:
    save(admin_client)
    row = StoredAgent.objects.get()
    store.change_agent(None, "clerk", AgentConf(name="Two"), enabled=True)
    answer = admin_client.post(url("change", row.pk), FORM | {"name": "Three", "based_on": "1"}, follow=True)
    assert "Somebody else has saved this agent meanwhile" in answer.content.decode()
    assert store.get_agent_version("clerk", 2).name == "Two"
    assert AgentVersion.objects.count() == 2


def test_a_lost_tool_is_named_when_its_version_is_restored(admin_client: Client) -> None:
    save(admin_client)
    row = StoredAgent.objects.get()
    AgentVersion.objects.create(agent=row, number=0, config={"tools": ["no.such.tool"]})
    answer = admin_client.post(url("restore", row.pk, 0), follow=True)
    assert "The site has no tool no.such.tool." in answer.content.decode()
    assert StoredAgent.objects.get().version == 1


def test_the_list_shows_model_and_state_in_few_queries(
    admin_client: Client, settings: Any, django_assert_max_num_queries: Any
) -> None:
    for number in range(5):
        store.create_agent(None, f"a{number}", AgentConf(name=f"Agent {number}", model="demo:tour"), enabled=number > 0)
    settings.NOUS_CHAT = {"AGENTS": {"a1": {}}}
    with django_assert_max_num_queries(12):
        page = admin_client.get(url("changelist")).content.decode()
    assert "hidden by an agent of the settings" in page
    assert "disabled" in page
    assert page.count("demo:tour") == 5


def test_deleting_takes_the_versions_but_not_the_figures(admin_client: Client, people: Any) -> None:
    save(admin_client)
    agents.refresh()
    room = store.create_conversation(people["ada"], "", "clerk")
    from chat.models import Conversation

    end(begin(people["ada"], Conversation.objects.get(pk=room.id)))
    admin_client.post(
        url("changelist"),
        {"action": "delete_selected", "_selected_action": str(StoredAgent.objects.get().pk), "post": "yes"},
    )
    assert not AgentVersion.objects.exists()
    assert Run.objects.get().agent_version == 1
    transcript = admin_client.get(reverse("admin:nous_chat_conversation_transcript", args=[room.id])).content.decode()
    assert "version 1" in transcript


async def scripted(*_: Any) -> Any:
    """In place of the trial, which needs connections of its own to the database."""
    yield trial.TrialThinking("Hm")
    yield trial.TrialText("<b>Hello</b>")
    yield trial.TrialCall("pay", {"amount": 3})
    yield trial.TrialEnd("demo:tour", 1200, None, "It broke off.", "status 500")


def test_it_is_tried_without_being_saved(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []

    def answer(*args: Any) -> Any:
        given.append(args)
        return scripted()

    monkeypatch.setattr(agent_admin, "try_agent", answer)
    form = {"name": "Clerk", "max_turns": "10", "instructions": "Be brief.", "prompt": "Hi"}
    page = admin_client.post(url("try"), form).content.decode()
    assert "&lt;b&gt;Hello&lt;/b&gt;" in page
    assert "<code>pay</code>" in page
    assert "It broke off." in page
    assert (given[0][2].instructions, given[0][3]) == ("Be brief.", "Hi")
    assert not StoredAgent.objects.exists()
    streamed = admin_client.post(url("try"), form, headers={"accept": agent_admin.EVENTS})
    events = [json.loads(line) for line in streamed.content.splitlines()]
    assert [event["type"] for event in events] == ["thinking", "text", "call", "end"]


def test_trying_names_what_is_wrong(admin_client: Client, settings: Any) -> None:
    form = {"name": "Clerk", "max_turns": "10", "prompt": "Hi", "model": "nobody:x"}
    assert "Model: nobody:x is no model" in admin_client.post(url("try"), form).content.decode()
    settings.NOUS_CHAT = {"BUDGETS": [{"per": "user", "tokens": 0}]}
    assert "Your budget for today is used up" in admin_client.post(url("try"), form | {"model": ""}).content.decode()


def test_a_trial_calls_no_tool() -> None:
    """It could send a mail, or pay money back."""
    called = []

    def pay(amount: int) -> str:
        """Pay."""
        called.append(amount)
        return "paid"

    shown = trial._uncalled(engine.Tool(pay))
    assert shown.requires_approval
    assert not called
