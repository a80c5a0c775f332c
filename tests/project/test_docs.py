"""The documentation is complete: each command, event, code, setting, variable, counter, and make target is in it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import Struct

from chat import conf, metrics, permissions
from chat.engine.providers.vendors import VENDORS
from chat.monitoring import prometheus
from chat.protocol import commands, events, objects
from chat.protocol.errors import ErrorCode
from chat.realtime import outages

from . import layers

ROOT = Path(__file__).resolve().parents[2]
CHAT = ROOT / "chat"
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
NAMES_OF_FIELDS = {"continues": "continue"}
"""Fields whose name on the wire is a Python keyword."""


def page(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def sources() -> Iterator[str]:
    return (file.read_text("utf-8") for file in CHAT.rglob("*.py"))


def section(name: str, heading: str) -> str:
    """The text of a page from a heading to the next one of the same level."""
    level = heading.split()[0]
    found = re.search(rf"^{re.escape(heading)}\n(.*?)(?=^#{{1,{len(level)}}} |\Z)", page(name), re.M | re.S)
    assert found, f"{name} has no {heading}"
    return found[1]


def in_backticks(text: str) -> set[str]:
    return set(re.findall(r"`([^`\n]+)`", text))


# --- The protocol


@pytest.mark.parametrize("frame", [*commands.COMMANDS, *events.EVENTS], ids=lambda frame: frame.__name__)
def test_every_frame_is_documented_with_its_fields(frame: type[Struct]) -> None:
    tag = frame.__struct_config__.tag
    rows = [line for line in page("docs/protocol.md").splitlines() if line.startswith(f"| `{tag}`")]
    assert rows, f"docs/protocol.md has no row for {tag}"
    documented = in_backticks(" ".join(rows) + section("docs/protocol.md", "## The inbox"))
    for field in frame.__struct_fields__:
        name = NAMES_OF_FIELDS.get(field, field) if frame is commands.RunStart else field
        if name != "ref" or frame in events.EVENTS:
            assert name in documented, f"{tag} does not name {name}"


def objects_of_the_wire() -> list[type[Struct]]:
    return [each for each in vars(objects).values() if isinstance(each, type) and issubclass(each, Struct)]


@pytest.mark.parametrize("shape", objects_of_the_wire(), ids=lambda shape: shape.__name__)
def test_every_object_is_documented_with_its_fields(shape: type[Struct]) -> None:
    if shape is Struct:
        return
    part = section("docs/protocol.md", "## Objects") + section("docs/protocol.md", "## HTTP")
    for name in shape.__struct_fields__:
        assert re.search(rf"\b{name}\b", part), f"{shape.__name__}.{name}"


def test_every_error_code_of_a_command_is_documented() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", section("docs/protocol.md", "### Error codes of commands"), re.M)
    assert rows == list(ErrorCode)


def error_codes(tree: ast.AST) -> Iterator[str]:
    """Codes that a module gives to errors: arguments of error classes and `_error`, results of `_code`."""
    for node in ast.walk(tree):
        values: list[ast.expr | None] = []
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            if name in ("EngineError", "ProviderError", "DeadlineError", "Failure", "from_code", "_error"):
                values = list(node.args)
        elif isinstance(node, ast.FunctionDef) and node.name == "_code":
            values = [part.value for part in ast.walk(node) if isinstance(part, ast.Return)]
        for value in filter(None, values):
            for part in (value.body, value.orelse) if isinstance(value, ast.IfExp) else (value,):
                if isinstance(part, ast.Constant) and re.fullmatch("[a-z_]+", str(part.value)):
                    yield str(part.value)


def test_every_error_code_of_a_run_is_documented() -> None:
    used = {code for source in sources() for code in error_codes(ast.parse(source))} | set(objects.FAILURES)
    assert {"stream_cut", "overloaded", "host_lost"} <= used
    assert used - in_backticks(section("docs/protocol.md", "### Error codes of runs")) == set()


def test_every_close_code_is_documented() -> None:
    used = {code for source in sources() for code in re.findall(r"\b(?:Closed|close|_close)\((\d{4})\)", source)}
    used |= {code for source in sources() for code in re.findall(r'"websocket.close", "code": (\d{4})', source)}
    assert {"1012", "4401", "4408"} <= used
    rows = [line for line in section("docs/protocol.md", "## The socket").splitlines() if line.startswith("|")]
    documented = set(re.findall(r"\b\d{4}\b", " ".join(row.split("|")[1] for row in rows)))
    assert used == documented


def test_every_notice_is_documented() -> None:
    assert set(outages.NOTICES) <= in_backticks(section("docs/protocol.md", "### Notices"))


def test_every_address_of_the_api_is_documented() -> None:
    routes = re.findall(r'"(api/[^"]+|attachments/[^"]+|join/[^"]+)"', (CHAT / "urls.py").read_text("utf-8"))
    assert len(routes) > 10
    documented = section("docs/protocol.md", "## HTTP").replace(
        "POST .../participants/", "POST /chat/api/conversations/<id>/participants/"
    )
    documented = re.sub(r"` ?\.\.\./|\.\.\./", "/chat/api/conversations/<id>/", documented)
    for route in routes:
        address = "/chat/" + re.sub(r"<\w+:(\w+)>", lambda found: "<token>" if found[1] == "token" else "<id>", route)
        assert address in documented, address


# --- Settings


def test_every_setting_is_documented_and_says_what_it_is() -> None:
    source = (CHAT / "conf.py").read_text("utf-8")
    documented = in_backticks(section("docs/settings.md", "## `NOUS_CHAT`"))
    for name in conf.Conf.__struct_fields__:
        assert name in documented, name
        assert re.search(rf"^    {name}: .*?\n    \"\"\"", source, re.M | re.S), f"{name} has no docstring"


@pytest.mark.parametrize(
    ("shape", "name"),
    [
        (conf.AgentConf, "docs/agents.md"),
        (conf.Budget, "docs/budgets.md"),
        (conf.Price, "docs/budgets.md"),
        (conf.RetentionRule, "docs/admin.md"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_every_field_of_a_structured_setting_is_documented(shape: type[Struct], name: str) -> None:
    for field in shape.__struct_fields__:
        assert re.search(rf'`{field}`|"{field}":', page(name)), field


def test_the_default_of_every_setting_is_documented() -> None:
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| ([^|]+) \|", section("docs/settings.md", "## `NOUS_CHAT`"), re.M))
    for name, default in zip(conf.Conf.__struct_fields__, conf.Conf.__struct_defaults__, strict=True):
        if isinstance(default, str | int | float) and default != "" and name in rows:
            said = re.sub(r"^nous_chat\.", "chat.", rows[name].strip("`"))  # the package as it is installed, and here
            assert said == str(default) if isinstance(default, str | bool) else float(said) == default, name


def test_the_limits_of_the_security_page_are_the_defaults() -> None:
    defaults = dict(zip(conf.Conf.__struct_fields__, conf.Conf.__struct_defaults__, strict=True))
    said = re.findall(r"`([A-Z_]+) = (\d+)`", section("docs/security.md", "## Limits"))
    assert {"COMMAND_RATE", "MAX_RUNS", "STORAGE_BYTES_PER_USER"} <= {name for name, _ in said}
    for name, value in said:
        assert float(value) == defaults[name], name


def test_every_environment_variable_is_documented() -> None:
    reading = r'(?:environ(?:\.get|\.setdefault)?[\[(]|flag\(|words\(|listed\()"([A-Z_]+)"'
    files = [*(ROOT / "nousproject").glob("*.py"), *CHAT.rglob("*.py")]
    used = {name for file in files for name in re.findall(reading, file.read_text("utf-8"))}
    assert {"REDIS_URL", "NOUS_CHAT_MODEL"} <= used
    assert used - {"DJANGO_SETTINGS_MODULE"} <= in_backticks(page("docs/settings.md"))


def test_the_variables_of_every_provider_are_documented() -> None:
    documented = in_backticks(page("docs/settings.md"))
    for name in VENDORS:
        assert {name.upper(), f"{name.upper()}_API_KEY"} & documented, name


def test_every_permission_is_documented() -> None:
    table = in_backticks(section("docs/permissions.md", "## Permissions"))
    assert {name for name in vars(permissions.Permissions) if not name.startswith("_")} <= table


# --- Commands, checks, counters


def test_every_make_target_is_documented() -> None:
    targets = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text("utf-8"), re.M)
    assert {"run", "test", "check", "bench", "release"} <= set(targets)
    documented = {name.split()[1] for name in in_backticks(page("CONTRIBUTING.md")) if name.startswith("make ")}
    assert set(targets) == documented


def test_every_management_command_and_its_options_are_documented() -> None:
    everything = "\n".join(path.read_text("utf-8") for path in PAGES)
    for file in (CHAT / "management" / "commands").glob("nous_*.py"):
        assert file.stem in everything, file.stem
        for option in re.findall(r'"(--[a-z-]+)"', file.read_text("utf-8")):
            assert option in everything, f"{file.stem} {option}"


def test_every_metric_is_documented_with_its_type_and_labels() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| ([^|]*)\|", section("docs/monitoring.md", "## Metrics"), re.M)
    described = {name: (metric.kind, *metric.labels) for name, metric in metrics.METRICS.items()}
    described |= dict.fromkeys(prometheus.SITE, ("gauge",))
    assert {name: (kind, *re.findall(r"`(\w+)`", labels)) for name, kind, labels in rows} == described


def test_every_system_check_is_documented() -> None:
    ids = set(re.findall(r'id="nous_chat\.(\w+)"', (CHAT / "checks.py").read_text("utf-8")))
    assert len(ids) > 8
    assert ids == {name for name in in_backticks(section("docs/deployment.md", "## System checks")) if name in ids}


# --- What the pages refer to


def test_every_test_that_proves_a_promise_exists() -> None:
    tests = {
        name
        for file in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"def (test_\w+)\(", file.read_text("utf-8"))
    }
    promises = section("docs/reliability.md", "## Promises")
    named = set(re.findall(r"`(test_\w+)`", promises))
    assert len(named) > 30
    assert named - tests == set()
    rows = [line for line in promises.splitlines() if line.startswith("|")][2:]
    unproved = [
        row for row in rows if "`test_" not in row.split("|")[-2] and not re.fullmatch(r"\| \*\*\w+\*\* \| \| \|", row)
    ]
    assert unproved == []


def anchors(text: str) -> set[str]:
    """The anchors that GitHub makes for a page's headings."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    return {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in re.findall(r"^#+ (.+)$", prose, re.M)}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_pages_and_headings_that_exist(path: Path) -> None:
    prose = re.sub(r"^```.*?^```", "", path.read_text("utf-8"), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        linked = (path.parent / file).resolve() if file else path
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked.read_text("utf-8")), target


def test_the_index_leads_to_every_page() -> None:
    linked = {
        (path.parent / target.partition("#")[0]).resolve()
        for path in [ROOT / "docs" / "README.md", ROOT / "docs" / "decisions" / "README.md", ROOT / "README.md"]
        for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text("utf-8"))
        if not target.startswith("https://")
    }
    assert [str(path.relative_to(ROOT)) for path in PAGES if path not in linked and path.name != "README.md"] == []


def test_the_architecture_page_prints_the_layers_of_the_architecture_test() -> None:
    assert layers.with_layers(page("docs/architecture.md")) == page("docs/architecture.md"), (
        "python -m tests.project.layers"
    )


def functions_of_tasks() -> Iterator[str]:
    """Methods whose docstring says who starts them, as `Class.method`."""
    for source in sources():
        for owner in (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef)):
            for method in (each for each in owner.body if isinstance(each, ast.AsyncFunctionDef)):
                if re.search(r"[Ss]tarted (and \w+ )?by", ast.get_docstring(method) or ""):
                    yield f"{owner.name}.{method.name}"


def test_every_background_task_is_in_the_table_of_the_architecture() -> None:
    tasks = set(functions_of_tasks())
    assert len(tasks) > 8
    table = in_backticks(section("docs/architecture.md", "## Background tasks"))
    assert tasks - table == set()


def test_the_files_that_pages_name_exist() -> None:
    """Paths in backticks; a name with a placeholder or a pattern is no path."""
    for path in PAGES:
        if path.name == "CHANGELOG.md" or path.parent.name == "decisions":
            continue  # these tell of the past
        prose = re.sub(r"^```.*?^```", "", path.read_text("utf-8"), flags=re.M | re.S)
        for name in in_backticks(prose):
            if re.fullmatch(r"(?:chat|tests|docs|nousproject|requirements|templates|locale)/[\w./-]+", name):
                assert (ROOT / name).exists(), f"{path.relative_to(ROOT)} names {name}"


def test_the_pages_avoid_words_that_readers_stumble_over() -> None:
    """CONTRIBUTING.md says why; its table of examples may show them."""
    words = re.compile(r"\b(whoever|whomever|anew|beside|lest|thereby|hereby|wherein|he|him|his)\b", re.IGNORECASE)
    for path in PAGES:
        text = path.read_text("utf-8")
        if path.name == "CONTRIBUTING.md":
            text = text.split("| instead of | write |")[0]
        assert [line for line in text.splitlines() if words.search(line)] == [], path
