"""The foreign site's people."""
