"""A small foreign site with the chat in it: its own user model, its own addresses, its own pages."""
