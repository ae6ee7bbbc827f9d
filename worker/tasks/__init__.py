"""Celery entry points. Each takes an id and has three acts: begin (a move that takes the lease), act (a tool, with no
transaction open), finish or fail (a move guarded by the fence). Running one twice is harmless.

``sweep`` finds what is due and rings for it; everything else answers one ring.
"""
