"""Streaming AI chat for Django sites: people and agents in one conversation, live.

    consumers/  api/  views/     edges: authenticate, parse, respond
        actions/                 what a user does, once for all edges
            node/                this server process: start, heartbeat, peers, shutdown
                runs/            the answers being made in this process
                    realtime/    who hears what: groups, presence, inboxes
                        store/   units of work on the rows
                            protocol/  models/  engine/

Imports run down this list only. docs/architecture.md describes the layers.

The wheel installs this folder as `nous_chat`, because many sites have an app of their own called `chat`. So imports
within the package are relative, and nothing in it names it.
"""

__version__ = "0.1.0"
