"""The driver for Docker hosts, tried on real engines over TLS."""
