"""Agents of other frameworks as ours (own.py): a module for each, which imports its framework only when it is used."""
