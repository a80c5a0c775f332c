"""Estimates of how many tokens a message takes, before a provider has counted them."""

from .messages import Message

TOKENS_PER_MESSAGE = 4
CHARS_PER_TOKEN = 4
"""Vendors' guides give about four characters of English per token."""

TOKENS_PER_IMAGE = 1200
"""What vendors count for an image of about a megapixel. They scale down larger ones."""


def estimate_tokens(message: Message) -> int:
    """A rough estimate, good enough to stay within a budget. It counts bytes of UTF-8, not characters: a Chinese or
    Japanese character takes about one token."""
    size = len(message.text.encode()) + sum(len(call.raw.encode()) for call in message.tool_calls)
    return TOKENS_PER_MESSAGE + size // CHARS_PER_TOKEN + TOKENS_PER_IMAGE * len(message.images)
