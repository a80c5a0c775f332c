"""Chaos tests: break everything at random, then check that nothing was lost. `make chaos`, docs/chaos.md."""
