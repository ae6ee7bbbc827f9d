"""Images built by a real Docker engine, put together in a real registry, and run."""
