"""Tests of everything that touches the outside world."""
