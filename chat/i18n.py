"""Languages: which one a sentence is in, numbers and sizes as it writes them, and the catalogue of the page's strings.

What one user reads is in the active language: over HTTP the request's, on a socket that of its address. What is stored
or published is read by everyone, so it is in the site's language (`in_site_language`).

The page's strings are in `static/nous_chat/i18n/strings.js` (gettext's domain `djangojs`), the server's where they are
used. A site adds a language, or rewords a string, with catalogues in its own LOCALE_PATHS.
"""

from decimal import ROUND_CEILING, Decimal
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
"""How many numbers the page gets plural forms for. Gettext's rules depend on a number's last two digits and on whether
it is small, so 200 cover every case."""


def language_of(query: bytes) -> str:
    """The `language` in the query string of a socket's address; the site's if there is none, or one it does not offer.

    Never raises: anyone may send any bytes as an address.
    """
    asked = parse_qs(query.decode("latin-1")).get("language", [""])[0]
    try:
        return get_supported_language_variant(asked)
    except (LookupError, ValueError):
        return settings.LANGUAGE_CODE


def in_site_language(sentence: str) -> str:
    """Translate a sentence that everyone reads, marked with gettext_noop, into the site's language."""
    with override(settings.LANGUAGE_CODE):
        return gettext(sentence)


def format_number(value: int | Decimal) -> str:
    """A number as the active language writes it: 10,000 or 10.000."""
    return number_format(value, force_grouping=True)


COST_DIGITS = 6
"""After the point at most: as many as costs are stored with."""


def cost_digits(cost: Decimal | float) -> int:
    """How many digits after the point a cost is shown with: two, or for small ones so many that two of them count."""
    amount = abs(Decimal(cost))
    return min(1 - amount.adjusted(), COST_DIGITS) if 0 < amount < Decimal("0.1") else 2


def format_cost(cost: Decimal | float, currency: str) -> str:
    """A cost as the active language writes it: 1,234.50 USD or 0.00021 USD."""
    return f"{number_format(cost, cost_digits(cost), force_grouping=True)} {currency}"


def format_size(size: int) -> str:
    """A number of bytes in KB or MB, as the active language writes it: 256 KB, 1.5 MB."""
    unit, name = (1024 * 1024, "MB") if size >= 1024 * 1024 else (1024, "KB")
    rounded = (Decimal(size) / unit).quantize(Decimal("0.1"))
    return f"{format_number(int(rounded) if rounded == int(rounded) else rounded)} {name}"


def format_millions(value: int) -> str:
    """A number in millions, with at most one decimal place, rounded up: 25, or 25.1 for everything above it."""
    rounded = (Decimal(value) / 1_000_000).quantize(Decimal("0.1"), ROUND_CEILING)
    return format_number(int(rounded) if rounded == int(rounded) else rounded)


def catalogue() -> dict[str, Any] | None:
    """The page's strings in the active language, as a Catalogue of `gettext.js`; None means English, as written."""
    return _catalogue(get_language() or settings.LANGUAGE_CODE)


@lru_cache(maxsize=32)
def _catalogue(language: str) -> dict[str, Any] | None:
    translation = DjangoTranslation(language, domain="djangojs", localedirs=[str(LOCALE)])
    texts: dict[str, Any] = {}
    for key, text in translation._catalog.items():  # type: ignore[attr-defined]  # as Django's own JavaScriptCatalog
        if isinstance(key, tuple):  # (text, number of the plural form); a site's own catalogue comes first and wins
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
