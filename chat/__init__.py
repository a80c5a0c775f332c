"""Streaming AI chat for a Django site: people and agents in one conversation, live.

An answer's way through this folder:
consumers -> sockets -> supervisor -> runs -> (store, history, agents, engine) -> groups -> consumers.
"""
