"""Agents of other frameworks as custom agents. Each module imports its framework only when it is used."""
