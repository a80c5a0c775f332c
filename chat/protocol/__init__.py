"""The wire protocol: commands, events, the objects inside them, and refusals."""
