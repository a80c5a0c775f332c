"""The wire protocol: commands in, events out, the objects in them, refusals."""
