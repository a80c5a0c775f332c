"""Agents in the database: versions, what processes know of them, and which one answers."""

from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext

from chat import agents, engine, store
from chat.conf import AgentConf
from chat.engine.providers import provider_for
from chat.engine.providers.provider import Request, Sampling
from chat.models import AgentVersion, Conversation, Run, Spending, StoredAgent, groups
from chat.permissions import usable_agents
from chat.protocol.errors import Refused
from chat.store.agents import (
    change_agent,
    charge_trial,
    check_trial,
    create_agent,
    delete_agent,
    get_agent_version,
    restore_agent,
)

from ..support.store_helpers import HOST, begin, end, pause, post

CLERK = AgentConf(name="Clerk", model="demo:tour", instructions="Be brief.", starters=("Hi",))


@pytest.fixture
def clerk(db: None) -> None:
    """An agent in the database, which this process knows of."""
    create_agent(None, "clerk", CLERK)
    agents.refresh()


def change(settings: AgentConf, enabled: bool = True) -> int:
    number = change_agent(None, "clerk", settings, enabled=enabled)
    agents.refresh()
    return number


def brief(**changes: Any) -> AgentConf:
    given: dict[str, Any] = {"name": "Clerk", "model": "demo:tour"} | changes
    return AgentConf(**given)


def test_people_find_it_like_an_agent_of_the_settings(clerk: None, people: Any) -> None:
    made = store.create_conversation(people["ada"], "Plans", "clerk")
    assert (made.agent.name, made.agent.starters) == ("Clerk", ("Hi",))
    assert list(usable_agents(people["ada"])) == ["assistant", "clerk"]
    room = Conversation.objects.get(pk=made.id)
    started = begin(people["ada"], room)
    assert (started.agent, started.settings.instructions) == ("clerk", "Be brief.")
    assert Run.objects.get().agent_version == 1


def test_each_change_makes_a_version_and_the_same_again_none(clerk: None) -> None:
    assert change(brief(instructions="Be long.")) == 2
    assert change(brief(instructions="Be long.")) == 2
    assert change(brief(instructions="Be long."), enabled=False) == 2
    assert [get_agent_version("clerk", number).instructions for number in (1, 2)] == ["Be brief.", "Be long."]
    assert StoredAgent.objects.get().enabled is False


def test_a_restored_version_is_a_new_one(clerk: None) -> None:
    change(brief(name="Other"))
    assert restore_agent(None, "clerk", 1) == 3
    agents.refresh()
    assert agents.resolve("clerk") == agents.Resolved(CLERK, 3)
    assert AgentVersion.objects.get(number=3).restores == 1
    assert StoredAgent.objects.get().name == "Clerk"


def test_a_run_keeps_the_version_that_it_began_with(clerk: None, people: Any) -> None:
    """Otherwise an answer that waited for an approval would continue with other instructions and tools."""
    room = Conversation.objects.get(pk=store.create_conversation(people["ada"], "", "clerk").id)
    started = begin(people["ada"], room)
    assert started.message.run is not None
    change(brief(instructions="Be long."), enabled=False)
    pause(started)
    Run.objects.update(status="queued", host=HOST)
    resumed = store.start_run(started.message.run.id, HOST)
    assert resumed is not None
    assert (resumed.settings.instructions, Run.objects.get().agent_version) == ("Be brief.", 1)


def test_a_later_run_has_the_new_version(clerk: None, people: Any) -> None:
    room = Conversation.objects.get(pk=store.create_conversation(people["ada"], "", "clerk").id)
    end(begin(people["ada"], room))
    change(brief(instructions="Be long."))
    assert begin(people["ada"], room).settings.instructions == "Be long."
    assert set(Run.objects.values_list("agent_version", flat=True)) == {1, 2}


@pytest.mark.parametrize("gone", ["turned off", "deleted"])
def test_without_it_the_default_agent_answers(clerk: None, people: Any, gone: str) -> None:
    """As for an agent that has vanished from the settings: the conversation stays usable."""
    room = Conversation.objects.get(pk=store.create_conversation(people["ada"], "", "clerk").id)
    if gone == "deleted":
        delete_agent(None, "clerk")
        agents.refresh()
    else:
        change(CLERK, enabled=False)
    assert agents.resolve("clerk") == agents.resolve("assistant")
    assert store.get_conversation(people["ada"].pk, room.pk).agent.name == "Assistant"
    begin(people["ada"], room)
    assert Run.objects.get().agent_version is None
    with pytest.raises(Refused, match="no such agent"):
        store.create_conversation(people["ada"], "", "clerk")


def test_versions_of_a_deleted_agent_never_mean_another(clerk: None, people: Any) -> None:
    room = Conversation.objects.get(pk=store.create_conversation(people["ada"], "", "clerk").id)
    change(brief(name="Two"))
    begin(people["ada"], room)
    delete_agent(None, "clerk")
    assert create_agent(None, "clerk", CLERK) == 3


def test_a_settings_agent_hides_one_of_the_same_id(clerk: None, settings: Any) -> None:
    settings.NOUS_CHAT = {"AGENTS": {"clerk": {"name": "From settings"}}}
    assert agents.resolve("clerk") == agents.Resolved(AgentConf(name="From settings"))
    assert [agent.name for agent in agents.all_agents().values()] == ["From settings"]


@pytest.mark.parametrize(
    ("slug", "problem"), [("assistant", "settings have an agent with this ID"), ("clerk", "with this ID already")]
)
def test_ids_are_unique(clerk: None, slug: str, problem: str) -> None:
    with pytest.raises(Refused, match=problem):
        create_agent(None, slug, CLERK)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"model": "nobody:x"}, "nobody:x is no model"),
        ({"model": "demo:/etc/secrets.json"}, "secrets.json is no model"),
        ({"model": "openai:gpt-4o"}, "no key for the provider of openai:gpt-4o"),
        ({"fallback": ("demo", "what")}, "what is no model"),
        ({"tools": ("os.system",)}, "no tool os.system"),
        ({"groups": ("Nobody",)}, "no group Nobody"),
    ],
)
def test_what_the_site_does_not_have_is_refused(
    clerk: None, monkeypatch: pytest.MonkeyPatch, changes: Any, problem: str
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(Refused, match=problem):
        change(brief(**changes))
    assert AgentVersion.objects.count() == 1


def test_groups_are_refused_if_the_users_have_none(clerk: None, monkeypatch: pytest.MonkeyPatch) -> None:
    Group.objects.create(name="Staff")
    monkeypatch.setattr(groups, "get_user_model", lambda: Group)  # a model without groups
    assert agents.find_problems(brief()) == {}
    with pytest.raises(Refused, match="users have no groups"):
        change(brief(groups=("Staff",)))


def test_a_problem_tells_no_key(clerk: None, settings: Any) -> None:
    settings.NOUS_CHAT = {"PROVIDERS": {"openai": {"api_key": "sk-sécret"}}}
    problems = agents.find_problems(brief(model="openai:gpt-4o"))
    assert problems
    assert "cret" not in str(problems)


def test_a_tool_that_the_site_has_given_up_is_not_called(clerk: None, settings: Any) -> None:
    """The row still names it. A dotted path of a row must never be enough to import something."""
    AgentVersion.objects.update(config={"name": "Clerk", "model": "demo:tour", "tools": ["os.system"]})
    StoredAgent.objects.update(version=1)
    found = agents.database.find_version("clerk", 1)
    assert found is not None
    with pytest.raises(engine.ConfigurationError, match=r"no tool os\.system"):
        agents.build(found.settings)


def test_a_registered_tool_can_be_chosen(clerk: None, settings: Any) -> None:
    settings.NOUS_CHAT = {"TOOLS": ["tests.sites.clerk.who_asks"]}
    change(brief(tools=("tests.sites.clerk.who_asks",)))
    built: Any = agents.build(agents.find("clerk"))
    assert [tool.name for tool in built.tools] == ["who_asks"]


def test_only_members_of_its_groups_can_use_it(clerk: None, people: Any) -> None:
    staff = Group.objects.create(name="Staff")
    people["ada"].groups.add(staff)
    change(brief(groups=("Staff",)))
    assert "clerk" in usable_agents(people["ada"])
    assert "clerk" not in usable_agents(people["bob"])
    with pytest.raises(Refused, match="no such agent"):
        store.create_conversation(people["bob"], "", "clerk")
    room = Conversation.objects.get(pk=store.create_conversation(people["bob"], "").id)
    with pytest.raises(Refused):
        store.change_conversation(people["bob"].pk, room.pk, store.ConversationChanges(agents=["clerk"]))
    Conversation.objects.update(agent="clerk")
    assert post(people["bob"], room).start is None
    kept = store.change_conversation(
        people["bob"].pk, room.pk, store.ConversationChanges(agents=["clerk", "assistant"])
    )
    assert [agent.slug for agent in kept.agents] == ["clerk", "assistant"]


def test_knowing_them_takes_one_query_and_a_run_none(
    clerk: None, people: Any, room: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    with CaptureQueriesContext(
        connection,
    ) as asked:
        agents.refresh()
    assert len(asked) == 1
    with CaptureQueriesContext(connection) as found:
        assert agents.find("clerk") == CLERK
    assert len(found) == 0
    change_agent(None, "clerk", brief(name="New"), enabled=True)
    assert agents.find("clerk").name == "Clerk"
    monkeypatch.setattr(agents.database, "STALE_AFTER", -1.0)
    assert agents.find("clerk").name == "New"


def test_a_row_that_cannot_be_read_takes_no_other_with_it(clerk: None) -> None:
    create_agent(None, "other", brief(name="Other"))
    AgentVersion.objects.filter(agent__slug="other").update(config={"name": 7})
    agents.refresh()
    assert set(agents.all_agents()) == {"assistant", "clerk"}


def test_nobody_saves_over_what_others_have_saved(clerk: None) -> None:
    change(brief(name="Two"))
    with pytest.raises(Refused, match="meanwhile"):
        change_agent(None, "clerk", brief(name="Three"), enabled=True, based_on=1)


def test_only_managers_of_agents_change_them(clerk: None, people: Any, django_user_model: Any) -> None:
    with pytest.raises(Refused, match="can't manage"):
        change_agent(people["ada"], "clerk", brief(name="Mine"), enabled=True)
    for attempt in (create_agent, restore_agent, delete_agent):
        args: dict[Any, Any] = {create_agent: ("new", CLERK), restore_agent: ("clerk", 1), delete_agent: ("clerk",)}
        with pytest.raises(Refused, match="can't manage"):
            attempt(people["ada"], *args[attempt])
    people["ada"].user_permissions.add(Permission.objects.get(codename="manage_agents"))
    manager = django_user_model.objects.get(pk=people["ada"].pk)
    assert change_agent(manager, "clerk", brief(name="Mine"), enabled=True) == 2
    assert AgentVersion.objects.get(number=2).saved_by == manager


def test_a_trial_counts_against_the_budgets_of_who_tries(people: Any, settings: Any, django_user_model: Any) -> None:
    settings.NOUS_CHAT = {"BUDGETS": [{"per": "user", "tokens": 20}, {"per": "conversation", "tokens": 5}]}
    root = django_user_model.objects.create_superuser("root")
    assert [budget.tokens for budget in check_trial(root, "demo:tour")[0]] == [20, 5]
    charge_trial(root, "clerk", "demo:tour", engine.Usage(10, 12, 22))
    assert Spending.objects.get(user=root, conversation=None).tokens == 22
    with pytest.raises(Refused, match="Your budget for today is used up"):
        check_trial(root, "demo:tour")


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("openai:x", {"temperature": 0.5, "reasoning_effort": "low"}),
        (
            "anthropic:x",
            {"temperature": 0.5, "thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}},
        ),
        ("gemini:x", {"generationConfig": {"temperature": 0.5, "thinkingConfig": {"thinkingLevel": "low"}}}),
        ("ollama:x", {"options": {"temperature": 0.5}, "think": "low"}),
    ],
)
def test_each_wire_has_its_own_names_for_how_a_model_writes(model: str, expected: dict[str, Any]) -> None:
    keys = {f"{name}_API_KEY": "k" for name in ("OPENAI", "ANTHROPIC", "GEMINI")}
    environ = keys | {"OLLAMA_BASE_URL": "http://127.0.0.1:1"}
    provider: Any = provider_for(model, environ)
    request = Request((engine.Message("user", "Hi"),), sampling=Sampling(0.5, "low"))
    body = provider.request_body(request)
    assert expected.items() <= body.items()
    plain = provider.request_body(Request((engine.Message("user", "Hi"),)))
    assert not expected.keys() & plain.keys()


def test_fork_keeps_the_version(clerk: None, people: Any) -> None:
    room = Conversation.objects.get(pk=store.create_conversation(people["ada"], "", "clerk").id)
    end(begin(people["ada"], room))
    answer = Run.objects.get().message
    assert answer is not None
    fork = store.fork_conversation(people["ada"].pk, room.pk, answer.pk)
    assert Run.objects.get(conversation=fork.id).agent_version == 1
