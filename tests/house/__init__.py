"""The house tests itself: who may import whom, which words name jobs, drivers and permissions, how code is written."""
