"""What the demo writes into documents: a report, a program, and a table."""

import json
from typing import NamedTuple


class DemoDocument(NamedTuple):
    """`before` and `after` are what the demo says. The rest are the arguments of `create_document`."""

    before: str
    after: str
    title: str
    kind: str
    language: str
    text: str

    @property
    def arguments(self) -> dict[str, str]:
        language = {"language": self.language} if self.language else {}
        return {"title": self.title, "kind": self.kind, **language, "text": self.text}

    @property
    def raw(self) -> str:
        return json.dumps(self.arguments, ensure_ascii=False)


_AFTER = """You can write in it now: everybody in this chat sees each letter, and I am told what you have changed. If \
I had still been writing, you could have written around my text, or taken over.
"""

_REPORT = """# How a document is written

## Summary

This report describes itself. It was written letter by letter while you watched, by a program that only pretends to be \
a model. A real one would write the same way, only with more to say.

## What happened

1. **The model calls a tool.** The name of the tool is `create_document`, and the text is one of its arguments.
2. **The arguments arrive in pieces.** As soon as the title is known and the text begins, the document exists.
3. **Each piece is a change.** It gets a number and a place in a log, in the same order for everybody.
4. **You see it at once.** Your page applies the change, and shows who writes where.

## What can go wrong

| what | and then |
|---|---|
| you press Stop | the text so far stays |
| the server restarts | the same |
| two write at the same place | both texts stay, in one order |
| somebody deletes too much | every version can be restored |

## Recommendation

Write a line below this one.
"""

_PROGRAM = '''"""Print the primes below a limit: python primes.py 100"""

import sys


def primes(limit: int) -> list[int]:
    """All primes below the limit, by the sieve of Eratosthenes."""
    is_prime = [True] * max(limit, 2)
    is_prime[0] = is_prime[1] = False
    for number in range(2, int(limit**0.5) + 1):
        if is_prime[number]:
            for multiple in range(number * number, limit, number):
                is_prime[multiple] = False
    return [number for number in range(limit) if is_prime[number]]


def main() -> None:
    limit = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    print(*primes(limit))


if __name__ == "__main__":
    main()
'''

_TABLE = """Planet,Distance in million km,Diameter in km,Moons,Day in hours
Mercury,57.9,4879,0,4222.6
Venus,108.2,12104,0,2802
Earth,149.6,12756,1,24
Mars,228,6792,2,24.7
Jupiter,778.5,142984,95,9.9
Saturn,1432,120536,146,10.7
Uranus,2867,51118,28,17.2
Neptune,4515,49528,16,16.1
"""

DEMO_DOCUMENTS = {
    "report": DemoDocument("I write a report about myself.", _AFTER, "Report", "markdown", "", _REPORT),
    "program": DemoDocument("I write a program that finds primes.", _AFTER, "Primes", "code", "python", _PROGRAM),
    "table": DemoDocument("I fill a table with the planets.", _AFTER, "Planets", "csv", "", _TABLE),
}
