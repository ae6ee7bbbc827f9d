"""Which host gets the next replica: a pure function of what the hosts have and what runs on them."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Room:
    """One host that could take a replica, as placement sees it. Memory is what no container of ours has set aside."""

    name: str
    siblings: int  # replicas of the same deployment
    replicas: int  # replicas of anybody
    memory_free_bytes: int
    gpus: int  # of a GPU host, how many are not taken


def choose(rooms: Sequence[Room], *, memory_bytes: int, gpus: int, turn: int) -> str | None:
    """The host's name: where the deployment has least, then where there is room, then where least runs.

    Equal hosts take turns by ``turn`` (the replica's own number), so that two workers who look at the same time choose
    the same one. None where a GPU is needed and no host has one left; memory is shared out beyond what there is rather
    than refused, because a limit is not a use.
    """
    able = [room for room in rooms if room.gpus >= gpus]
    if not able:
        return None

    def cost(item: tuple[int, Room]) -> tuple[int, bool, int, int]:
        place, room = item
        return room.siblings, room.memory_free_bytes < memory_bytes, room.replicas, (place - turn) % len(able)

    return min(enumerate(able), key=cost)[1].name
