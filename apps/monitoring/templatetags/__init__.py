"""Template filters of monitoring."""
