"""Starts, watches and stops replicas on a target, and answers what runs there.

base          the promises every driver keeps
registry      which driver a kind of target has
process       this machine: replicas as supervised processes behind the sandbox's walls
  records       what is on disk about each of them, which is how they outlive the worker
  supervisor    the small program above each replica; standard library only
  endings       why a replica ended, in words
  logfiles      the end of a log, kept short
  machine       what this machine has, and what a process uses
docker_host   one or several machines with a Docker engine each, over TLS or SSH
swarm         a Docker Swarm cluster
health        whether a replica is ready, and the one that is meant
golden        whether it answers its golden sample as when it was examined
fake          keeps its world in memory and can be told to fail

A new driver touches five places: its module here, one line in the registry, its kind in apps/targets, one line in
tests/promises, and this list.
"""
