"""In which language something is said, and the page's words in it: what gettext's domain `djangojs` has for them.

The page's sentences stand in `static/nous_chat/i18n/strings.js`, the server's where they are said. A site adds a
language, or says something differently, with catalogues in one of its own LOCALE_PATHS.

What one person is told is in the language that is active: over HTTP the request's, in a socket that of its address.
What is stored or published is read by all, and is in the site's (`for_all`).
"""

from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from django.conf import settings
from django.utils.formats import number_format
from django.utils.translation import get_language, get_supported_language_variant, gettext, override
from django.utils.translation.trans_real import DjangoTranslation

LOCALE = Path(__file__).parent / "locale"
PLURALS = 200
"""Gettext's rules look at a number's last two digits, and at whether it is small."""


def language_of(query: bytes) -> str:
    """The `language` that a socket's address asks for; the site's where it asks for none, or for one that the site does
    not have. An address is not of our making, so nothing in it is an error.
    """
    asked = parse_qs(query.decode("latin-1")).get("language", [""])[0]
    try:
        return get_supported_language_variant(asked)
    except (LookupError, ValueError):
        return settings.LANGUAGE_CODE


def for_all(sentence: str) -> str:
    """A sentence, marked with gettext_noop, that everybody reads: in the site's language."""
    with override(settings.LANGUAGE_CODE):
        return gettext(sentence)


def number(value: int | Decimal) -> str:
    """As the active language writes it: 10,000 or 10.000."""
    return number_format(value, force_grouping=True)


def catalogue() -> dict[str, Any] | None:
    """What `gettext.js` calls a Catalogue; None where the words are shown as they are written, in English."""
    return _catalogue(get_language() or settings.LANGUAGE_CODE)


@lru_cache(maxsize=32)
def _catalogue(language: str) -> dict[str, Any] | None:
    translation = DjangoTranslation(language, domain="djangojs", localedirs=[str(LOCALE)])
    texts: dict[str, Any] = {}
    for key, text in translation._catalog.items():  # type: ignore[attr-defined]  # as Django's own JavaScriptCatalog
        if isinstance(key, tuple):  # a plural form; what comes first counts
            texts.setdefault(key[0], {}).setdefault(key[1], text)
        elif key:
            texts.setdefault(key, text)
    if not texts:
        return None
    for key, text in texts.items():
        if isinstance(text, dict):
            texts[key] = [text[form] for form in sorted(text)]
    plurals = "".join(str(translation.plural(number)) for number in range(PLURALS))
    return {"language": translation.to_language(), "texts": texts, "plurals": plurals}
