"""Benchmarks: the site compared with a bare relay, under the same streams. `make bench`, docs/benchmarks.md.

targets.py   the servers under test              upstream.py  a provider that streams at a steady pace
relay.py     the bare relay: httpx to WebSocket  wire.py      the format of questions and deltas
clients.py   WebSocket clients that keep time    people.py    users and conversations for the clients
load.py      sockets, orders, clocks, texts      answers.py   many askers at once
arrivals.py  starts at a steady rate             startup.py   from the command to listening
windows.py   streams, stops                      room.py      one conversation of many people, over two processes
engine.py    the engine without a site           page.py      a page in Chromium
options.py   sections, options, sizes            measure.py   clocks, percentiles, machine load
admin.py     a made-up site's admin, export, import, pruning; administrator.py works inside the site
peer/        Chainlit, under the same load       openings.py  what opening a socket takes, without a server
reconnects.py, storm.py                          sockets after a restart, memory of an idle one
report/                                          results to tables and verdicts
"""
