"""The Swarm driver on a real cluster of two nodes, reached over TLS."""
