"""`make bench`: the site beside a bare relay, under the same streams, in one run. What it prints: docs/benchmarks.md.

wire.py      what an order to the upstream and a delta look like      upstream.py  a provider that keeps time
relay.py     the floor: httpx to WebSocket, no Django, no Channels    people.py    who sits at the site
targets.py   the processes under test, started and ended              clients.py   who reads them
measure.py   clocks, percentiles, how busy the machine is             windows.py   one measurement each
room.py      one room that many read, over two processes
engine.py    the engine without a site around it                      report.py    results to tables and verdicts
"""
