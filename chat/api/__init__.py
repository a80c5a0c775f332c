"""JSON over HTTP, authenticated by the session."""
