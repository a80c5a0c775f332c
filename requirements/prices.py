"""`make prices`: write chat/store/prices.txt, the shipped prices, from the data of the package genai-prices (MIT).

That data is collected from the vendors' pages of prices, which the file names. To bring the prices up to date, raise
VERSION, run this, and read the diff.
"""

import re
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "chat/store/prices.txt"
VERSION = "0.2.3"

VENDORS = {
    "openai": "openai",
    "anthropic": "anthropic",
    "gemini": "google",
    "xai": "x-ai",
    "mistral": "mistral",
    "deepseek": "deepseek",
    "groq": "groq",
    "together": "together",
}
"""Our names of providers, and those of the package."""

NO_CHAT = re.compile(
    r"audio|babbage|curie|davinci|^ada|embed|^ft:|guard|image|imagen|instruct-\d|live|lyria|moderation|nano-banana|ocr|"
    r"omni|realtime|rerank|robotics|transcribe|translate|tts|veo|voice|voxtral|whisper|[\s^]|:(free|extended)$|\.ft-$"
)
"""Models that do not write text, and names that are no models."""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        install = ("-m", "pip", "install", "--quiet", "--no-deps", "--target", folder, f"genai-prices=={VERSION}")
        subprocess.run([sys.executable, *install], check=True)
        # Its data needs its types only; the library that it fetches updates with is not needed.
        sys.modules["httpx2"] = ModuleType("httpx2")
        sys.path.insert(0, folder)
        providers = {each.id: each for each in runpy.run_module("genai_prices.data")["providers"]}
    lines = [
        "# US dollars per million tokens: model, input, output, and input that the vendor read from its cache. A date",
        f"# in front says from when a price holds. Taken on {date.today()} from genai-prices {VERSION} (MIT, Copyright",
        "# Pydantic Services Inc.), which collects them from the addresses below. `make prices` writes this file.",
    ]
    for name, other in VENDORS.items():
        provider = providers[other]
        lines += ["", f"[{name}]", *(f"# {address}" for address in provider.pricing_urls)]
        lines += sorted({line for model in provider.models if not NO_CHAT.search(model.id) for line in describe(model)})
    FILE.write_text("\n".join(lines) + "\n", "utf-8")


def describe(model: Any) -> Iterator[str]:
    """The lines of a model, for each of its names and each of its prices."""
    names = {model.id, *literals(model.match)}
    for since, price in dated(model.prices):
        given = [plain(getattr(price, f"{kind}_mtok")) for kind in ("input", "output", "cache_read")]
        if None in given[:2]:
            continue
        numbers = " ".join(f"{number.normalize():f}" for number in given if number is not None)
        for name in names:
            if not NO_CHAT.search(name):
                yield f"{since}{name} {numbers}"


def literals(clause: Any) -> Iterator[str]:
    """The names that a condition on names spells out."""
    for attribute in ("equals", "starts_with"):
        if name := getattr(clause, attribute, ""):
            yield name.rstrip("-@")
    for each in getattr(clause, "or_", ()):
        yield from literals(each)


def dated(prices: Any) -> Iterator[tuple[str, Any]]:
    """Prices with the date, and a space, from which they hold; "" is ever since. Of prices that depend on the hour, the
    usual one.
    """
    for each in prices if isinstance(prices, list) else [prices]:
        constraint = getattr(each, "constraint", None)
        if constraint is None or hasattr(constraint, "start_date"):
            since = getattr(constraint, "start_date", None)
            yield (f"{since} " if since else ""), getattr(each, "prices", each)


def plain(price: Any) -> Any:
    """A price that grows with the length of a prompt counts as that of short ones."""
    return getattr(price, "base", price)


if __name__ == "__main__":
    main()
