"""What a user does, written once for all edges: sockets, HTTP and the form without JavaScript.

Each runs a unit of work, and publishes what it has committed. `messages` and `runs` also start and stop runs, so they
get a `Caller`; `conversations` and `participants` get a user's id. They write, so edges await them through
`TaskSets.run_to_completion`: what is committed is announced, even if the client has gone.
"""
