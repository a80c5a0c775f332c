"""Translations: every string is marked, German is complete, and the page gets the strings of its user's language."""

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
STRINGS = [VENDOR.parent / name for name in ("i18n/strings.js", "documents/strings.js")]
MODULES = sorted(file for file in VENDOR.parent.rglob("*.js") if VENDOR not in file.parents)
TEMPLATES = sorted([*(ROOT / "chat/templates").rglob("*.html"), *(ROOT / "templates").rglob("*.html")])
CATALOGUES = {
    "djangojs": [ROOT / "chat/locale"],
    "django": [ROOT / "chat/locale", ROOT / "locale"],
}
SOURCES = [file for folder in CATALOGUES["django"] for file in sorted(folder.rglob("*.po"))]
STRING = r'"((?:[^"\\]|\\.)*)"'


def german(domain: str) -> dict[Any, str]:
    """The German texts by English text; for plurals by (text, number of the form)."""
    found: dict[Any, str] = {}
    for folder in CATALOGUES[domain]:
        with open(folder / f"de/LC_MESSAGES/{domain}.mo", "rb") as compiled:
            found |= GNUTranslations(compiled)._catalog  # type: ignore[attr-defined]
    return found


def strings_of_the_page() -> list[str]:
    source = "".join(file.read_text("utf-8") for file in STRINGS)
    return [ast.literal_eval(f'"{text}"') for text in re.findall(rf"\b(?:_|ngettext)\(\s*{STRING}", source)]


def strings_of_the_server() -> list[str]:
    python = [file for folder in ("chat", "nousproject") for file in (ROOT / folder).rglob("*.py")]
    sources = [file.read_text("utf-8") for file in python]
    sources += [f"({templatized(file)})" for file in TEMPLATES]
    marked = [call for source in sources for call in ast.walk(ast.parse(source)) if is_marked(call)]
    texts = [call.args[0] for call in marked]
    return [str(text.value) for text in texts if isinstance(text, ast.Constant)]


def templatized(file: Path) -> str:
    """The gettext calls that Django extracts from a template. What is between them is not Python."""
    calls = re.compile(r"""\b(?:gettext|ngettext)\((?:\s*u?(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')\s*,?)+""")
    return ", ".join(f"{call.rstrip(',')})" for call in calls.findall(templatize(file.read_text("utf-8"))))


def is_marked(node: ast.AST) -> TypeGuard[ast.Call]:
    """True for a call that marks a string for translation."""
    marks = ("_", "gettext", "gettext_lazy", "gettext_noop", "ngettext", "ngettext_lazy")
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in marks


def unmarked_sentences(source: str) -> list[str]:
    """Sentences for users that are not marked: in refusals, notices, closing reasons, and failures."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        given = {keyword.arg: keyword.value for keyword in node.keywords}
        match name:
            case "Refused":
                code = ast.unparse(node.args[0])
                sentence, for_clients = node.args[1], code in ("ErrorCode.BAD_JSON", "ErrorCode.UNKNOWN_COMMAND")
            case "Notice":
                sentence, for_clients = given["message"], False
            case "Closing":
                sentence, for_clients = given["reason"], False
            case "EngineError" | "ProviderError" | "DeadlineError":
                if isinstance(node.args[0], (ast.Constant, ast.JoinedStr)):
                    found.append(ast.unparse(node.args[0]))
                continue
            case _:
                continue
        text = ast.unparse(sentence)
        if for_clients or "`" in text or text in PASSED_ON:
            continue
        if not is_marked(sentence.left if isinstance(sentence, ast.BinOp) else sentence):
            found.append(text)
    return found


PASSED_ON = {
    "str(refused)",  # marked where it was refused
    "str(rejected)",  # by the site
    "budget.failure.message",
    "exceeded.message",
    "last.message",
    "problem.messages[0]",  # of a row, marked at its table
    "problems[0]",  # of an agent, marked where it was found
    "f'{error}.'",  # from msgspec, about a field
}


def placeholders(text: str) -> list[str]:
    return sorted(re.findall(r"\{\w+\}|%\(\w+\)s", text))


@pytest.mark.parametrize(
    ("domain", "used"),
    [("djangojs", strings_of_the_page()), ("django", strings_of_the_server())],
    ids=["page", "server"],
)
def test_german_is_complete(domain: str, used: list[str]) -> None:
    known = german(domain)
    assert len(used) > 50
    for text in used:
        forms = [known.get((text, form), "") for form in (0, 1)] if (text, 0) in known else [known.get(text, "")]
        for translated in forms:
            assert translated, f"make words, then translate: {text}"
            assert placeholders(translated) == placeholders(text), text
    texts = {key[0] if isinstance(key, tuple) else key for key in known} - {""}
    assert not texts - set(used), "make words: these are not used any more"


def test_every_sentence_of_the_server_is_marked_for_translation() -> None:
    """Except for errors about fields and frames: those are for authors of clients, in English."""
    assert unmarked_sentences('raise Refused(ErrorCode.CONFLICT, "No.")') == ["'No.'"]
    assert unmarked_sentences('x.Notice(code="a", message=NOTICES[code])') == ["NOTICES[code]"]
    assert unmarked_sentences('raise ProviderError(f"{a} failed.", "x")') == ["f'{a} failed.'"]
    assert unmarked_sentences('raise Refused(ErrorCode.CONFLICT, _("No %(more)s.") % {"more": 1})') == []
    assert unmarked_sentences('raise Refused(ErrorCode.INVALID, "`q` is missing.")') == []
    for file in sorted((ROOT / "chat").rglob("*.py")):
        assert not unmarked_sentences(file.read_text("utf-8")), file


@pytest.mark.parametrize("source", SOURCES, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_translation_is_missing_or_fuzzy(source: Path) -> None:
    """In any domain. Fuzzy entries are guesses of `make words`, and gettext ignores them."""
    for entry in source.read_text("utf-8").split("\n\n"):
        assert "#, fuzzy" not in entry, entry
        assert not re.search(r'^msgstr(\[\d\])? ""$(?!\n")', entry, flags=re.MULTILINE), entry


@pytest.mark.skipif(shutil.which("msgfmt") is None, reason="GNU gettext is not installed")
@pytest.mark.parametrize("source", SOURCES, ids=lambda file: str(file.relative_to(ROOT)))
def test_the_compiled_catalogues_match_their_sources(source: Path, tmp_path: Path) -> None:
    subprocess.run(["msgfmt", "--check", "-o", tmp_path / "new.mo", source], check=True)
    with open(tmp_path / "new.mo", "rb") as new, open(source.with_suffix(".mo"), "rb") as kept:
        assert GNUTranslations(new)._catalog == GNUTranslations(kept)._catalog, "make words"  # type: ignore[attr-defined]


def test_no_key_of_the_strings_is_used_twice() -> None:
    """In a JavaScript object the later one would silently win."""
    for file in STRINGS:
        keys = re.findall(r"^  (\w+):", file.read_text("utf-8"), flags=re.MULTILINE)
        assert sorted(keys) == sorted(set(keys)), file


def test_every_sentence_of_the_page_is_in_strings_js() -> None:
    """A sentence is a string of two words or more, or the value of an attribute that users can see or hear."""
    names = r'(?:"aria-label"|title|placeholder|alt)["\]]?:\s*'
    for file in MODULES:
        if file.name in ("strings.js", "gettext.js"):
            continue
        source = re.sub(r"^\s*(?://|\*|/\*).*$|\s//\s.*$", "", file.read_text("utf-8"), flags=re.MULTILINE)
        source = re.sub(r"`[^`]*`|class: " + STRING, "", source)
        sentences = [text for text in re.findall(STRING, source) if re.match(r"[A-Z][a-z]+ [a-z]+", text)]
        assert not sentences, f"{file.name}: {sentences}"
        assert not re.findall(names + STRING, source), file.name


def test_every_word_of_a_template_is_marked_for_translation() -> None:
    for file in TEMPLATES:
        if file.name in ("400.html", "500.html"):  # shown when nothing works, so they must not depend on translations
            continue
        source = file.read_text("utf-8")
        source = re.sub(r"\{% blocktranslate.*?endblocktranslate %\}", "", source, flags=re.DOTALL)
        source = re.sub(
            r"\{% block main_class.*?endblock %\}|\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}|<[^>]*>", "", source, flags=re.DOTALL
        )
        assert not re.findall(r"[A-Za-z]{2,}", source.replace("Nous Chat", "")), file


def test_the_page_gets_the_strings_of_the_active_language() -> None:
    with translation.override("de-at"):
        catalogue = i18n.catalogue()
    assert catalogue is not None
    assert catalogue["texts"]["Send"] == "Senden"
    assert catalogue["texts"]["{count} token"] == ["{count} Token", "{count} Tokens"]
    assert catalogue["plurals"].startswith("1011")
    with translation.override("en"):
        assert i18n.catalogue() is None
    with translation.override("fr"):
        assert i18n.catalogue() is None, "without a translation, the page stays English"
