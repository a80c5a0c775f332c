"""Adapters: the wires of front ends that are not ours, each in a module (docs/api.md).

An adapter reads a request (`base.Question`), and writes one answer (`base.Adapter`). It is pure: the views in `api`
ask, and `consumers/run_response.py` follows the run.
"""
