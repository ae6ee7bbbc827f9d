"""What is left on a host and nothing refers to any more: found by our labels, and by nothing else.

Images stay when a release ends, so that it can be rolled back to; a network stays when a worker dies between making it
and making the container that was to be on it.
"""

import time
from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any

from worker.drivers.docker_host import policy
from worker.drivers.docker_host.engine import Engine, Refused

Json = dict[str, Any]

LEFT_SECONDS = 300.0  # after which a network with nothing on it waits for no container any more
_LABELS = (f"{policy.LABEL}subject", f"{policy.LABEL}runtime")
_IN_USE = (403, 404, 409)  # somebody uses it, or it is gone already


def tidy(engine: Engine, instance: str, kept: Collection[str], repository: str, *, is_dry: bool) -> list[str]:
    """Remove them, or only say what would go: names of images by digest, and of networks."""
    found = [(f"/images/{name}", name) for name in find_images(engine, kept, repository)]
    found += [(f"/networks/{each['Id']}", each["Name"]) for each in find_networks(engine, instance)]
    return [name for path, name in found if is_dry or _remove(engine, path)]


def find_images(engine: Engine, kept: Collection[str], repository: str) -> Iterator[str]:
    """Each name of those that are ours, not kept, and that no container is made of."""
    used = {each["ImageID"] for each in engine.get("/containers/json", all=True)}
    for image in engine.get("/images/json"):
        names = [*(image.get("RepoDigests") or ()), *(image.get("RepoTags") or ())]
        names = [name for name in names if "<none>" not in name]
        is_ours = any(label in (image.get("Labels") or {}) for label in _LABELS)
        is_ours = is_ours and bool(names) and all(name.startswith(f"{repository}/") for name in names)
        if is_ours and image["Id"] not in used and not any(name.rpartition("@")[2] in kept for name in names):
            yield from names


def find_networks(engine: Engine, instance: str) -> Iterator[Json]:
    for each in engine.get("/networks", filters={"label": [f"{policy.LABEL}instance={instance}"], "scope": ["local"]}):
        is_old = time.time() - datetime.fromisoformat(each["Created"]).timestamp() > LEFT_SECONDS
        if is_old and not engine.get(f"/networks/{each['Id']}").get("Containers"):
            yield each


def _remove(engine: Engine, path: str) -> bool:
    """Whether it is gone by our doing; what came into use meanwhile stays."""
    try:
        engine.delete(path)
    except Refused as error:
        if error.status not in _IN_USE:
            raise
        return False
    return True
