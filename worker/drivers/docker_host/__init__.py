"""Docker hosts: one or several machines with a Docker engine each, reached over TLS or SSH; this is the GPU host.

driver      the verbs, over all hosts of a target
hosts       the hosts of a target: asked side by side, and left alone for a while once one does not answer
engine      one conversation with one engine
wires       how its bytes travel: TLS with a client's certificate, SSH with a pinned key, a socket of this machine
policy      what a container may do: the whole of it, and whether the engine kept to it
system_calls which calls a container is refused: among them every one that would let it reach out
launching   pull, create, inspect, hand over the secret, start
pulling     an image by its digest, and why it could not be had
reading     what an engine says of containers, as statuses
figures     what a host has and what is free, GPUs included, seen from inside a container of ours
garbage     images and networks that nothing refers to any more
checks      what a look at the hosts found, line by line
placement   which host gets the next replica

**The secret** goes to the replica's standard input before it starts: it is in no environment variable, no label, no
layer, no file and no answer of the engine's API.

**No way out.** A container keeps Docker's own separation (a network for each deployment, whose members cannot see
each other) and cannot open a connection at all: the kernel refuses it the call. So no firewall has to be set up on the
host, and a target of this kind is a wall for models of tier 2.
"""
