"""Propose, approve, reject, build: who may, when it is too late, and what an approval is bound to."""
