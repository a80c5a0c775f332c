"""The structure of `chat`: imports run down the layers below, and some terms are used in one place only."""

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

CHAT = Path(__file__).resolve().parents[2] / "chat"
SITE = CHAT.parent / "nousproject"
FILES = sorted(file for file in CHAT.rglob("*.py") if "migrations" not in file.parts)
ENGINE = CHAT / "engine"

LAYERS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("wiring", ("apps", "asgi"), "what Django and the server load"),
    ("entry points", ("checks", "management", "routing", "templatetags", "urls"), "what Django calls by name"),
    ("edges", ("admin", "api", "consumers", "signal_handlers", "site", "views"), "authenticate, parse, answer"),
    ("actions", ("actions",), "what a user does, once for all edges"),
    ("node", ("node",), "this server process: start, heartbeat, peers, shutdown"),
    ("monitoring", ("monitoring",), "what this process measures, and what all report to each other"),
    ("runs", ("runs",), "the answers being made in this process"),
    ("realtime", ("realtime",), "who hears what: groups, presence, inboxes"),
    ("store", ("store",), "units of work on the rows"),
    ("hooks", ("hooks",), "the site's checks of messages and answers"),
    ("channel layer", ("channel_layer",), "carries messages between processes, if a site chooses it"),
    ("process", ("concurrency", "ratelimit"), "background tasks; how often a user may ask"),
    ("protocol", ("protocol",), "commands, events, objects and errors on the wire"),
    ("permissions", ("permissions", "rooms"), "who may do what; a site may replace it, and adds rooms of its objects"),
    ("database", ("database",), "which of the site's databases has the tables"),
    ("agents", ("agents",), "the site's agents, by slug: those of the settings, and those of the database"),
    ("models", ("models",), "the tables"),
    ("addresses", ("addresses",), "where browsers find pages and sockets"),
    ("settings", ("conf", "i18n", "times"), "the site's settings, languages, and time zone"),
    ("search", ("fulltext",), "the words that the search index holds"),
    (
        "tools",
        ("documents", "graphemes", "logs", "metrics", "signals", "turns"),
        "helpers that know nothing of the chat",
    ),
    ("engine", ("engine",), "agents and providers; knows no Django"),
)
"""The layers of `chat`, top to bottom: name, modules and packages, purpose. Each imports only from layers below it.
docs/architecture.md prints this table.
"""

DEPTH = {module: depth for depth, (_, modules, _) in enumerate(LAYERS) for module in modules}


def names(files: list[Path]) -> list[str]:
    return [str(file.relative_to(CHAT)) for file in files]


def code(file: Path) -> str:
    """The file's code without comments and docstrings, which may mention anything."""
    tree = ast.parse(file.read_text("utf-8"))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            kept = [n for n in body if not (isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant))]
            node.body = kept or [ast.Pass()]  # type: ignore[attr-defined]
    return ast.unparse(tree)


def imports(file: Path) -> set[str]:
    """Dotted names that a file imports. Relative imports are resolved."""
    found = set()
    package = list(file.relative_to(CHAT.parent).with_suffix("").parts[:-1])
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return found


def files_with(word: str, files: list[Path] = FILES) -> list[str]:
    return names([file for file in files if re.search(word, code(file))])


def test_the_engine_imports_neither_django_nor_the_chat() -> None:
    for file in ENGINE.rglob("*.py"):
        for name in imports(file):
            assert name.split(".")[0] not in ("django", "channels", "asgiref"), f"{file} imports {name}"
            assert not name.startswith("chat") or name.startswith("chat.engine"), f"{file} imports {name}"
        words = code(file).replace("gen_ai.conversation.id", "")  # a name of OpenTelemetry's
        assert "conversation" not in re.sub(r"\b_\((['\"]).*?\1", "", words).lower(), file  # messages may name one


def test_the_chat_imports_itself_relatively_and_no_site() -> None:
    """The wheel installs it under another name than `chat`."""
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            named = []
            if isinstance(node, ast.ImportFrom) and not node.level:
                named = [node.module or ""]
            elif isinstance(node, ast.Import):
                named = [alias.name for alias in node.names]
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and entry_of(node.value):
                named = [node.value]  # for import_string() and the like
            assert not {name.split(".")[0] for name in named} & {"chat", "nousproject"}, f"{file}: {named}"


TO_COMPUTE = [
    "actions/documents.py", "api/documents.py", "runs/document_tools.py", "runs/document_writer.py",
    "runs/inspection.py", "store/search.py",
]  # fmt: skip
"""Modules that compute something bounded in a thread."""


@pytest.mark.parametrize(
    ("word", "place"),
    [
        (r"\bgroup_(send|add|discard)\b", ["realtime/layer.py", "realtime/mailbox.py"]),
        (r"\bget_channel_layer\b", ["realtime/servers.py"]),
        (r"\bThreadPoolExecutor\b", []),  # a process that ends waits for its threads
        (r"\bto_thread\b", TO_COMPUTE),  # the same: not for what waits for something outside
        (r"\bDaemonThreads\(", ["engine/daemon_threads.py", "node/http_threads.py", "store/executor.py"]),
        (r"settings\.NOUS_CHAT|'NOUS_CHAT'", ["conf.py"]),
        (r"\bengine\.run_stream\b", ["runs/postprocess.py", "runs/run.py", "runs/trial.py"]),
    ],
)
def test_a_term_is_used_in_its_module_only(word: str, place: list[str]) -> None:
    assert files_with(word) == place


def test_only_the_engine_imports_httpx_and_the_doctor_aiohttp() -> None:
    for file in [*FILES, *SITE.glob("*.py")]:
        clients = {"httpx", "aiohttp"} & {name.split(".")[0] for name in imports(file)}
        if CHAT / "monitoring" / "doctor" in file.parents:
            clients -= {"aiohttp"}
        assert not clients or ENGINE in file.parents, file


def test_only_the_store_writes_rows() -> None:
    writing = r"\.(create|get_or_create|bulk_create|update|delete|save)\("

    for file in FILES:
        if ENGINE in file.parents or CHAT / "store" in file.parents:
            continue
        assert not re.search(r"objects\b.*" + writing, code(file)), file


def entry_of(name: str) -> str | None:
    """The entry of LAYERS that a dotted name belongs to; None for `chat` itself and for other packages."""
    parts = name.split(".")
    return parts[1] if parts[0] == "chat" and len(parts) > 1 and parts[1] in DEPTH else None


def test_every_module_has_a_layer() -> None:
    found = {file.relative_to(CHAT).with_suffix("").parts[0] for file in FILES} - {"__init__"}
    assert found == DEPTH.keys()


def test_imports_run_down_the_layers() -> None:
    violations = set()
    for file in FILES:
        own = file.relative_to(CHAT).with_suffix("").parts[0]
        if own != "__init__":
            others = {other for other in map(entry_of, imports(file)) if other is not None and other != own}
            violations |= {
                f"{file.relative_to(CHAT)} imports {other}" for other in others if DEPTH[other] <= DEPTH[own]
            }
    assert not violations


def test_every_module_has_a_docstring() -> None:
    for file in [*FILES, *SITE.glob("*.py")]:
        text = file.read_text("utf-8")
        if text.strip():
            assert ast.get_docstring(ast.parse(text)), f"{file} has no docstring"


def test_the_type_of_a_layer_message_is_a_constant() -> None:
    """It names the method that handles the message, so it must not come from a client."""
    assert files_with(r"'type': (?!')", [file for file in FILES if ENGINE not in file.parents]) == []


def test_no_module_of_the_page_imports_itself_through_others() -> None:
    """The name of a static file has a hash of its content, and the names that it imports are content. Types that a
    comment imports with `import("...")` count: `collectstatic` replaces their names as well.
    """
    page = CHAT / "static/nous_chat"
    modules = [file for file in page.rglob("*.js") if "vendor" not in file.parts]
    names = re.compile(r"""from "(\.[^"]+\.js)";|import\("(\.[^"]+\.js)"\)""")
    imports = {
        file: {(file.parent / (name or lazy)).resolve() for name, lazy in names.findall(file.read_text("utf-8"))}
        for file in modules
    }
    assert sum(map(len, imports.values())) > 100
    TopologicalSorter(imports).prepare()  # raises CycleError, which names the modules
