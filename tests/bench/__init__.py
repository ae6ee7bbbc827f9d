"""Measurements beside other software, run by hand: ``python -m tests.bench.<name>``. No test collects them."""
