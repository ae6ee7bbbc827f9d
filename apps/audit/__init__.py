"""The append-only, hash-chained log: ``record()`` inside every write, the log page and the verifier."""
