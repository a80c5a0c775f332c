"""What a user does, written once for all edges: sockets, HTTP and the form without JavaScript.

`messages` and `runs` are asynchronous: they start and stop runs on the event loop, and get a `Caller`. `conversations`
and `participants` are synchronous: they get a user's id, and publish after the commit.
"""
