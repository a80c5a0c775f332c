"""The words: German has all of them, none stands outside, and a page is told them in its reader's language."""

import ast
import re
import shutil
import subprocess
from gettext import GNUTranslations
from pathlib import Path
from typing import Any, TypeGuard

import pytest
from django.utils import translation
from django.utils.translation.template import templatize

from chat import i18n

ROOT = Path(__file__).resolve().parents[2]
VENDOR = ROOT / "chat/static/nous_chat/vendor"
STRINGS = ROOT / "chat/static/nous_chat/i18n/strings.js"
MODULES = sorted(file for file in VENDOR.parent.rglob("*.js") if VENDOR not in file.parents)
TEMPLATES = sorted([*(ROOT / "chat/templates").rglob("*.html"), *(ROOT / "templates").rglob("*.html")])
CATALOGUES = {
    "djangojs": [ROOT / "chat/locale"],
    "django": [ROOT / "chat/locale", ROOT / "locale"],
}
SOURCES = [file for folder in CATALOGUES["django"] for file in sorted(folder.rglob("*.po"))]
STRING = r'"((?:[^"\\]|\\.)*)"'


def german(domain: str) -> dict[Any, str]:
    """By text, or by (text, number of the form) for what counts."""
    found: dict[Any, str] = {}
    for folder in CATALOGUES[domain]:
        with open(folder / f"de/LC_MESSAGES/{domain}.mo", "rb") as compiled:
            found |= GNUTranslations(compiled)._catalog  # type: ignore[attr-defined]
    return found


def words_of_the_page() -> list[str]:
    source = STRINGS.read_text("utf-8")
    return [ast.literal_eval(f'"{text}"') for text in re.findall(rf"\b(?:_|ngettext)\(\s*{STRING}", source)]


def words_of_the_server() -> list[str]:
    python = [file for folder in ("chat", "nousproject") for file in (ROOT / folder).rglob("*.py")]
    sources = [file.read_text("utf-8") for file in python]
    sources += [f"({templatized(file)})" for file in TEMPLATES]
    marked = [call for source in sources for call in ast.walk(ast.parse(source)) if is_marked(call)]
    texts = [call.args[0] for call in marked]
    return [str(text.value) for text in texts if isinstance(text, ast.Constant)]


def templatized(file: Path) -> str:
    """What Django makes of a template for xgettext: calls, between what is no Python."""
    calls = re.compile(r"""\b(?:gettext|ngettext)\((?:\s*u?(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')\s*,?)+""")
    return ", ".join(f"{call.rstrip(',')})" for call in calls.findall(templatize(file.read_text("utf-8"))))


def is_marked(node: ast.AST) -> TypeGuard[ast.Call]:
    """Is it a sentence in gettext's hands?"""
    marks = ("_", "gettext", "gettext_lazy", "gettext_noop", "ngettext")
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in marks


def bare_sentences(source: str) -> list[str]:
    """What people are told in a module past gettext: a refusal, a notice, the reason of an end, a failure."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        given = {keyword.arg: keyword.value for keyword in node.keywords}
        match name:
            case "Refused":
                code = ast.unparse(node.args[0])
                told, for_clients = node.args[1], code in ("ErrorCode.BAD_JSON", "ErrorCode.UNKNOWN_COMMAND")
            case "_refuse":
                told, for_clients = node.args[2], False
            case "Notice":
                told, for_clients = given["message"], False
            case "Closing":
                told, for_clients = given["reason"], False
            case "EngineError" | "ProviderError" | "DeadlineError":
                if isinstance(node.args[0], (ast.Constant, ast.JoinedStr)):
                    found.append(ast.unparse(node.args[0]))
                continue
            case _:
                continue
        text = ast.unparse(told)
        if for_clients or "`" in text or text in PASSED_ON:
            continue
        if not is_marked(told.left if isinstance(told, ast.BinOp) else told):
            found.append(text)
    return found


PASSED_ON = {
    "str(refused)",  # it was said in its language already
    "left.failure.message",
    "over.message",
    "f'{error}.'",  # msgspec's, about a field
}


def placeholders(text: str) -> list[str]:
    return sorted(re.findall(r"\{\w+\}|%\(\w+\)s", text))


@pytest.mark.parametrize(
    ("domain", "used"), [("djangojs", words_of_the_page()), ("django", words_of_the_server())], ids=["page", "server"]
)
def test_german_is_complete(domain: str, used: list[str]) -> None:
    known = german(domain)
    assert len(used) > 50
    for text in used:
        forms = [known.get((text, form), "") for form in (0, 1)] if (text, 0) in known else [known.get(text, "")]
        for said in forms:
            assert said, f"make words, then translate: {text}"
            assert placeholders(said) == placeholders(text), text


def test_no_sentence_of_the_server_stands_outside_the_words() -> None:
    """Whoever writes a client is told of fields and frames in English; everything else is for people."""
    assert bare_sentences('raise Refused(ErrorCode.CONFLICT, "No.")') == ["'No.'"]
    assert bare_sentences('x.Notice(code="a", message=NOTICES[code])') == ["NOTICES[code]"]
    assert bare_sentences('raise ProviderError(f"{a} failed.", "x")') == ["f'{a} failed.'"]
    assert bare_sentences('raise Refused(ErrorCode.CONFLICT, _("No %(more)s.") % {"more": 1})') == []
    assert bare_sentences('raise Refused(ErrorCode.INVALID, "`q` is missing.")') == []
    for file in sorted((ROOT / "chat").rglob("*.py")):
        assert not bare_sentences(file.read_text("utf-8")), file


@pytest.mark.parametrize("source", SOURCES, ids=lambda file: str(file.relative_to(ROOT)))
def test_nothing_is_left_to_translate(source: Path) -> None:
    """Of any domain. What `make words` only guesses (fuzzy) counts for nothing."""
    for entry in source.read_text("utf-8").split("\n\n"):
        assert "#, fuzzy" not in entry, entry
        assert not re.search(r'^msgstr(\[\d\])? ""$(?!\n")', entry, flags=re.MULTILINE), entry


@pytest.mark.skipif(shutil.which("msgfmt") is None, reason="GNU gettext is not installed")
@pytest.mark.parametrize("source", SOURCES, ids=lambda file: str(file.relative_to(ROOT)))
def test_what_is_compiled_is_what_is_written(source: Path, tmp_path: Path) -> None:
    subprocess.run(["msgfmt", "--check", "-o", tmp_path / "new.mo", source], check=True)
    with open(tmp_path / "new.mo", "rb") as new, open(source.with_suffix(".mo"), "rb") as kept:
        assert GNUTranslations(new)._catalog == GNUTranslations(kept)._catalog, "make words"  # type: ignore[attr-defined]


def test_no_word_is_there_twice() -> None:
    """In an object of JavaScript the later one would win, in silence."""
    keys = re.findall(r"^  (\w+):", STRINGS.read_text("utf-8"), flags=re.MULTILINE)
    assert sorted(keys) == sorted(set(keys))


def test_no_sentence_stands_outside_the_words() -> None:
    """In the modules a sentence is a string of two words or more, or what is given to a reader as a name."""
    names = r'(?:"aria-label"|title|placeholder|alt)["\]]?:\s*'
    for file in MODULES:
        if file.name in ("strings.js", "gettext.js"):
            continue
        source = re.sub(r"^\s*(?://|\*|/\*).*$|\s//\s.*$", "", file.read_text("utf-8"), flags=re.MULTILINE)
        source = re.sub(r"`[^`]*`|class: " + STRING, "", source)
        sentences = [text for text in re.findall(STRING, source) if re.match(r"[A-Z][a-z]+ [a-z]+", text)]
        assert not sentences, f"{file.name}: {sentences}"
        assert not re.findall(names + STRING, source), file.name


def test_no_word_stands_bare_in_a_template() -> None:
    for file in TEMPLATES:
        if file.name == "500.html":  # rendered when nothing works any more, translation may be among it
            continue
        source = file.read_text("utf-8")
        source = re.sub(r"\{% blocktranslate.*?endblocktranslate %\}", "", source, flags=re.DOTALL)
        source = re.sub(
            r"\{% block main_class.*?endblock %\}|\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}|<[^>]*>", "", source, flags=re.DOTALL
        )
        assert not re.findall(r"[A-Za-z]{2,}", source.replace("Nous Chat", "")), file


def test_a_page_is_told_the_words_of_its_language() -> None:
    with translation.override("de-at"):
        told = i18n.catalogue()
    assert told is not None
    assert told["texts"]["Send"] == "Senden"
    assert told["texts"]["{count} token"] == ["{count} Token", "{count} Tokens"]
    assert told["plurals"].startswith("1011")
    with translation.override("en"):
        assert i18n.catalogue() is None
    with translation.override("fr"):
        assert i18n.catalogue() is None, "English, until somebody translates"
