"""The page's words in the active language: what gettext's domain `djangojs` has for them. Called by `views`.

The sentences themselves stand in `static/nous_chat/words.js`. A site adds a language, or says something differently,
with a `djangojs` catalogue in one of its own LOCALE_PATHS.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils.translation import get_language
from django.utils.translation.trans_real import DjangoTranslation

LOCALE = Path(__file__).parent / "locale"
PLURALS = 200
"""Gettext's rules look at a number's last two digits, and at whether it is small."""


def catalogue() -> dict[str, Any] | None:
    """What `language.js` calls a Catalogue; None where the words are shown as they are written, in English."""
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
