"""Benchmarks: the site compared with a bare relay, under the same streams. `make bench`, docs/benchmarks.md.

targets.py   the servers under test              upstream.py  a provider that streams at a steady pace
relay.py     the bare relay: httpx to WebSocket  wire.py      the format of questions and deltas
clients.py   WebSocket clients that keep time    people.py    users and conversations for the clients
windows.py   streams, bursts, stops              room.py      one conversation of many people, over two processes
engine.py    the engine without a site           page.py      a page in Chromium
measure.py   clocks, percentiles, machine load   report.py    results to tables and verdicts
"""
