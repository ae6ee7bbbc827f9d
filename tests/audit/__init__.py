"""The log that only grows: its chain, its verifier, its pages."""
