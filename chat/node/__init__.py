"""This server process: start, heartbeat, peers, shutdown."""
