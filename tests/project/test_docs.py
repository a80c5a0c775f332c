"""What exists is documented: every command, event, code, setting, make target and module."""

import re
from pathlib import Path

import pytest

from chat import conf, metrics
from chat.protocol import commands, events, objects

ROOT = Path(__file__).resolve().parents[2]
PROTOCOL = (ROOT / "docs" / "protocol.md").read_text("utf-8")
OPERATING = (ROOT / "docs" / "deployment.md").read_text("utf-8")
RELIABILITY = (ROOT / "docs" / "reliability.md").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")


@pytest.mark.parametrize("struct", [*commands.COMMANDS, *events.EVENTS], ids=lambda struct: struct.__name__)
def test_every_frame_is_documented_with_its_fields(struct: type) -> None:
    tag = struct.__struct_config__.tag  # type: ignore[attr-defined]
    rows = [line for line in PROTOCOL.splitlines() if line.startswith(f"| `{tag}`")]
    assert rows, f"docs/protocol.md has no row for {tag}"
    inbox = PROTOCOL.split("## The inbox")[1]
    for name in struct.__struct_fields__:  # type: ignore[attr-defined]
        name = {"continues": "continue"}.get(name, name) if struct is commands.RunStart else name
        if name != "ref" or struct in events.EVENTS:
            assert f"`{name}`" in " ".join(rows) + inbox, f"{tag} does not name {name}"


@pytest.mark.parametrize(
    "struct",
    [
        objects.Person,
        objects.Usage,
        objects.Run,
        objects.Message,
        objects.Attachment,
        objects.Yours,
        objects.Conversation,
        objects.Participant,
        objects.Invitation,
        objects.Call,
        objects.You,
    ],
    ids=lambda struct: struct.__name__,
)
def test_every_object_is_documented_with_its_fields(struct: type) -> None:
    part = PROTOCOL.split("## Objects")[1].split("## Commands")[0]
    for name in struct.__struct_fields__:  # type: ignore[attr-defined]
        assert re.search(rf"\b{name}\b", part), f"{struct.__name__}.{name}"


def test_every_error_code_of_a_command_is_documented() -> None:
    sources = [ROOT / "chat" / name for name in ("commands.py", "consumers.py", "sockets.py", "api.py")]
    sources += (ROOT / "chat" / "store").glob("*.py")
    used = {code for file in sources for code in re.findall(r'Refused\(\s*"(\w+)"', file.read_text("utf-8"))}
    part = PROTOCOL.split("### Error codes of commands")[1].split("### Error codes of runs")[0]
    assert used <= set(re.findall(r"`(\w+)`", part))


def test_every_setting_is_documented_and_says_what_it_is() -> None:
    source = (ROOT / "chat" / "conf.py").read_text("utf-8")
    for name in conf.Conf.__struct_fields__:
        assert f"`{name}`" in OPERATING, name
        assert re.search(rf"^    {name}: .*?\n    \"\"\"", source, re.MULTILINE | re.DOTALL), f"{name} has no docstring"


def test_every_environment_variable_is_documented() -> None:
    sources = [*(ROOT / "nousproject").glob("*.py"), ROOT / "chat" / "conf.py"]
    reading = r'(?:environ(?:\.get|\.setdefault)?[\[(]|flag\(|words\()"([A-Z_]+)"'
    used = {name for file in sources for name in re.findall(reading, file.read_text("utf-8"))}
    assert "REDIS_URL" in used
    for name in used - {"DJANGO_SETTINGS_MODULE"}:
        assert f"`{name}`" in OPERATING, name


def test_every_make_target_is_documented() -> None:
    targets = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert {"run", "test", "check", "bench"} <= set(targets)
    for target in targets:
        assert f"`make {target}`" in README, target


def test_every_test_that_the_page_on_reliability_names_is_there() -> None:
    named = re.findall(r"`(?:tests/)?((?:\w+/)*test_\w+\.py)::(test_\w+)`", RELIABILITY)
    assert len(named) > 30
    for file, test in named:
        assert f"def {test}(" in (ROOT / "tests" / file).read_text("utf-8"), f"{file} has no {test}"
    rows = [line for line in RELIABILITY.split("## What is not")[0].splitlines() if line.startswith("|")][2:]
    assert all("::test_" in row.split("|")[-2] for row in rows), "each promise has its proof"


def test_every_counter_is_documented() -> None:
    for name in metrics.COUNTERS:
        assert f"`{name}`" in RELIABILITY, name


def test_every_check_is_documented() -> None:
    ids = set(re.findall(r'id="nous_chat\.(\w+)"', (ROOT / "chat" / "checks.py").read_text("utf-8")))
    assert len(ids) > 8
    for name in ids:
        assert f"`{name}`" in OPERATING, name


def test_every_module_has_its_line_in_the_design() -> None:
    design = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    table = design[
        design.index("| file | what it does |") : design.index("`tests/project/test_architecture.py` keeps this true")
    ]
    modules = {path.name for path in (ROOT / "chat").glob("*.py")} - {"__init__.py"}
    assert {name for name in modules if f"`{name}`" not in table} == set()
