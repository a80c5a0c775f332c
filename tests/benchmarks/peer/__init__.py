"""Chainlit as a peer, under the same load: `make bench ARGS="--peers"`.

It gets an environment of its own under var/, so that its packages do not mix with ours.

app.py     the application, as Chainlit's documentation writes it: it runs in that environment
client.py  the viewer that speaks its protocol
server.py  installing and starting it
"""
