"""Measurements beside other software, run by hand: ``python tests/bench/<name>.py``. No test collects them."""
