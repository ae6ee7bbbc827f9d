"""Taking turns: the order in which rows are locked, so that nobody ever waits for somebody who waits for them.

1. the endpoint: by whoever changes what is to run there or who gets its calls, before they look at either
2. a deployment, and with it its replicas, routes and steps; those it replaces only by whoever has the endpoint
3. releases, all that are to be closed at once
4. the end of the audit log (by ``record``), after which nothing is locked that others could have

Rows that nobody else can know of yet have no place in it, and what passes over locked rows never waits (leases).
"""

from apps.deployments.models import Deployment
from apps.targets.models import Endpoint


def lock_endpoint(pk: int) -> None:
    """Keep everybody else from changing what is to run at the endpoint, until the transaction ends."""
    Endpoint.objects.select_for_update(no_key=True).get(pk=pk)


def lock_deployment(pk: int) -> None:
    """Keep everybody else from the deployment until the transaction ends."""
    Deployment.objects.select_for_update(no_key=True).get(pk=pk)
