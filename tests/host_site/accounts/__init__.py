"""The host site's users."""
