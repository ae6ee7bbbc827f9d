"""What to do next with the replicas of one deployment: a pure function of what is wanted and what is seen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

MIN_HEALTHY_SECONDS = 2.0  # ready for so long before traffic comes
UNREADY_SECONDS = 30.0  # a replica that runs but is not ready for so long is started anew
HEALTHY_DEADLINE_SECONDS = 300.0  # from start to first ready
FAILED_STARTS = 3  # of one replica that was never ready: then the deployment has failed
BACKOFF_CAP_SECONDS = 60.0


@dataclass(frozen=True)
class Wanted:
    """One replica that should run, and its record so far. Times are seconds before now; None is never."""

    index: int
    name: str
    restarts: int = 0
    started_ago: float | None = None
    healthy_for: float | None = None
    unready_for: float | None = None


@dataclass(frozen=True)
class Plan:
    start: tuple[int, ...] = ()  # indexes to start (for the first time, or again)
    probe: tuple[int, ...] = ()  # indexes that run and are to be asked whether they are ready
    remove: tuple[str, ...] = ()  # names to stop: nobody wants them


def plan(wanted: Sequence[Wanted], seen: Mapping[str, str]) -> Plan:
    """``seen`` maps names to driver states (starting, running, exited). Removing comes last when it is carried out."""
    start: list[int] = []
    probe: list[int] = []
    for replica in wanted:
        state = seen.get(replica.name, "gone")
        if state in {"starting", "running"} and not is_stuck(replica):
            probe.append(replica.index)
        elif may_start(replica):
            start.append(replica.index)
    names = {replica.name for replica in wanted}
    return Plan(tuple(start), tuple(probe), tuple(name for name in seen if name not in names))


def is_stuck(replica: Wanted) -> bool:
    """Running, but not ready for too long: longer while it has never been ready since it was started."""
    if replica.unready_for is None:
        return False
    was_ready = replica.started_ago is not None and replica.unready_for < replica.started_ago - 1
    return replica.unready_for > (UNREADY_SECONDS if was_ready else HEALTHY_DEADLINE_SECONDS)


def may_start(replica: Wanted) -> bool:
    """The first start and the first restart are immediate; after that the wait doubles up to a minute."""
    if replica.started_ago is None or replica.restarts == 0:
        return True
    return replica.started_ago >= min(BACKOFF_CAP_SECONDS, 2.0**replica.restarts)


def is_healthy(replica: Wanted) -> bool:
    return replica.healthy_for is not None and replica.healthy_for >= MIN_HEALTHY_SECONDS


def phase(*, was_live: bool, healthy: int, wanted: int) -> str:
    """The phase of a wanted deployment with so many healthy replicas of so many wanted."""
    if not was_live:
        return "running" if healthy >= wanted else "starting"
    return "running" if healthy >= wanted else "degraded"
