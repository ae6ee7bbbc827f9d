"""The journeys of tests/journeys again, on what production runs on: PostgreSQL, RabbitMQ, a registry with TLS, images
that a Docker engine builds, two Docker hosts over TLS, and a Swarm cluster of two nodes.

``production`` is all of that with web, gateway, worker and clock on it; the people, their steps and most of their
stories are those of tests/journeys.
"""
