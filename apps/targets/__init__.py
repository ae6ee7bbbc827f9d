"""Where models can run (Target), under which policy (Environment), and at which address (Endpoint)."""
