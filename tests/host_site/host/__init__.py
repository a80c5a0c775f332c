"""A site that embeds the chat as any other does: it has installed the wheel. It has a user model, addresses and
pages of its own, and an app called `chat`.
"""
