"""A small site that embeds the chat: with its own user model, URLs, and pages."""
