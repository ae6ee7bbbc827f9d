"""A Docker Swarm cluster: Swarm chooses the node, keeps the secret and hands out the GPUs; what runs, and when it is
started again, stays with the reconciler.

driver      the verbs
cluster     one conversation with whichever manager answers, and what it refuses, in words
services    what a replica looks like as a Swarm service: the whole container policy
starting    putting a replica on the cluster, and watching it until it runs
placement   on which nodes a replica may run, and which it should avoid because its siblings are there
belongings  the secret and the network of each replica
seeing      the replicas as the cluster shows them, and why one of them ended
reading     services, tasks and nodes of the cluster's API as statuses and nodes
engines     the nodes' own engines, where they may be asked: use of resources, and an end for want of memory
checks      what a look at the cluster found, line by line

**One service for each replica, each with one task.** Swarm's own unit would be a service for each deployment with a
task for each replica. But all tasks of a service get the same secrets, none of them can be stopped or started again by
itself, and scaling down takes whichever Swarm likes, while every promise of a driver is about one replica. So one
replica is one service, under the same name, with its own secret and its own network; a deployment is the set of
services that carry its label. What Swarm does for a service with many tasks is kept: the replicas of a deployment are
spread over the nodes (placement), a replica that ended is started again by an update of its service in place, and a
node that is lost shows as the end of what ran on it, so that the reconciler starts that elsewhere. Swarm itself
restarts nothing: there is one place that decides, counts and waits.

**Ports are published on the node itself** (``mode=host``, any free port): the gateway speaks to each replica and
spreads the load itself, so the routing mesh would only hide which replica answered.

**The secret is a Swarm secret**, a file in memory that only user 10001 of that one task can read. It is in no
environment variable, no label and no answer of the cluster's API.

**What it does not hold back.** Replicas cannot reach each other (a network each, and the bridge to the outside keeps
its members apart), but Swarm has no way to deny a task the way out. So this is no wall for models of tier 2: they are
refused here. Where even that is too much, deny it in the nodes' ``DOCKER-USER`` chain.
"""
