"""Turnpike's own benchmark: what a call, a chunk and an idle stream cost, and what they add.

It starts everything it measures: a local provider (`tests/upstream`), Turnpike as an operator would
start it (one worker, SQLite, keys, ledger and limits on), and the load. `python -m bench --help`.
"""
