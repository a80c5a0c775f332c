"""Text from models, providers, and users in a terminal or a log."""

_CONTROLS = {
    *range(0x20),  # C0: ESC begins sequences that move the cursor, set the title, or write to the clipboard
    *range(0x7F, 0xA0),  # DEL and C1: 0x9B and 0x9D begin such sequences in one character
    *(0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)),  # bidirectional text, reordered
    *(0x2028, 0x2029),  # line breaks to some programs that read logs
    *range(0xD800, 0xE000),  # lone surrogates, which UTF-8 cannot hold
} - {ord("\n"), ord("\t")}
_ESCAPES = {code: f"\\u{code:04x}" for code in _CONTROLS}


def printable(text: str) -> str:
    r"""The text with its control characters written out, such as \u001b: they do nothing in a terminal. Line breaks and
    tabs stay. Also for pieces of a text, because each character is looked at by itself, and for JSON, which stays the
    same JSON."""
    return text if text.isascii() and text.isprintable() else text.translate(_ESCAPES)


def one_line(text: str) -> str:
    """The text as one printable line, so that no line of a log can be forged."""
    return printable(" ".join(text.splitlines()))
