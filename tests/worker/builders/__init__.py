"""Tests of the builders, and a small real model to build from."""
