"""What the models say."""


def text(n: int, chars: int = 0) -> str:
    """The text of `words@n=...`. Each word is one delta; every tenth has an emoji, which is several bytes."""
    return "".join(word(i, chars) for i in range(n))


SECTION = """\
## Part {n}: how a wave moves

A wave carries **energy**, not water: what moves is the *shape*. See [the notes](https://example.org/{n}) for more, or
run `wave --speed {n}` yourself. Some sentences follow, so that there is a paragraph of the usual length.

- first point of part {n}, with `code`
- second point, a little **longer** than the first one
  1. something below it
  2. and one more

| quantity | value | unit |
|---|---:|---|
| speed | {n} | m/s |
| height | 2.5 | m |
| period | 8 | s |

```python
def wave_{n}(x: float, t: float) -> float:
    # The height of the water at a place and a time.
    phase = 2 * math.pi * (x / LENGTH - t / PERIOD)
    return HEIGHT / 2 * math.cos(phase) + {n}
```

> Water remembers nothing, but it repeats itself well.

"""


def document(length: int) -> str:
    """A long answer in Markdown with `length` characters. Every tenth part is a long block of code."""
    parts: list[str] = []
    while sum(map(len, parts)) < length:
        n = len(parts) + 1
        code = "".join(f"    total_{i} = wave_{n}({i}, 0.5) * {i}  # the {i}th\n" for i in range(120))
        parts.append(SECTION.format(n=n) if n % 10 else f"```python\ndef all_{n}():\n{code}```\n\n")
    return "".join(parts)[:length]


def word(i: int, chars: int = 0) -> str:
    return f"w{i}{'🌊' if i % 10 == 9 else ''}{'x' * chars} "
