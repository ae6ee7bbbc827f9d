"""What an engine says of containers, as the statuses that everybody else knows."""

import struct
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from worker.drivers import endings, logfiles
from worker.drivers.docker_host.engine import Engine
from worker.drivers.docker_host.policy import LABEL, LABELS, PORT
from worker.specs import ReplicaStats, ReplicaStatus

Json = dict[str, Any]

_SIGNALLED = 128  # an exit code above it tells the signal
_FRAME = struct.Struct(">BxxxL")  # of Docker's two streams in one: which, and how many bytes
_LINES_LOOKED_AT = 200


def read_status(engine: Engine, seen: Json) -> ReplicaStatus:
    """A container as inspected; of one that has ended the reason, with the line of its log that shows it."""
    name, state = str(seen["Name"]).lstrip("/"), seen["State"]
    labels, created = own_labels(seen["Config"]["Labels"] or {}), moment(seen["Created"])
    if state["Running"]:
        address = address_of(engine, seen["NetworkSettings"]["Ports"] or {})
        digest = digest_of(str(seen["Config"]["Image"]))
        return ReplicaStatus(name, "running", address, labels, created, node=engine.name, digest=digest)
    if state["Status"] == "created" and not state.get("Error"):  # its maker was interrupted; it can be made anew
        return ReplicaStatus(name, "exited", "", labels, created, kind="killed", node=engine.name)
    ending = endings.explain(_report(state), read_log(engine, seen["Id"], _LINES_LOOKED_AT))
    return ReplicaStatus(
        name, "exited", "", labels, created, ending.exit_code, ending.kind, ending.reason, ending.log, engine.name
    )  # fmt: skip


def read_running(engine: Engine, listed: Json) -> ReplicaStatus:
    """The same of a running container, from a list's shorter record."""
    ports = {
        f"{each['PrivatePort']}/{each['Type']}": [{"HostPort": each.get("PublicPort")}] for each in listed["Ports"]
    }
    name, labels = name_of(listed), own_labels(listed["Labels"] or {})
    return ReplicaStatus(
        name, "running", address_of(engine, ports), labels, float(listed["Created"]),
        node=engine.name, digest=digest_of(str(listed["Image"])),
    )  # fmt: skip


def digest_of(image: str) -> str:
    """The digest by which a container's image was named; another kind of name as it is, since we never give one.

    Empty where an engine tells its own id of the image, which says nothing about the digest.
    """
    if image.startswith("sha256:"):
        return ""
    return image.rpartition("@")[2]


def name_of(listed: Json) -> str:
    return str(listed["Names"][0]).lstrip("/")


def own_labels(labels: Json) -> dict[str, str]:
    """A replica's labels under their own names, without the image's."""
    return {name: labels[LABEL + name] for name in LABELS if LABEL + name in labels}


def address_of(engine: Engine, ports: Json) -> str:
    published = (ports.get(f"{PORT}/tcp") or [{}])[0].get("HostPort")
    return f"{engine.address}:{published}" if published else ""


def moment(text: str) -> float:
    """Docker's moment in whole seconds since the epoch, as its lists tell it."""
    return float(int(datetime.fromisoformat(text[:19] + "+00:00").timestamp()))


def read_log(engine: Engine, container: str, lines: int, since: float = 0.0) -> list[str]:
    query = {"stdout": True, "stderr": True, "tail": lines, "since": f"{since:.3f}"}
    return lines_of(engine.get(f"/containers/{container}/logs", **query))


def lines_of(data: bytes) -> list[str]:
    """The lines in Docker's two streams in one, made safe to show."""
    text = b"".join(_frames(data)).decode(errors="replace")
    return [logfiles.clean(line) for line in text.splitlines()]


def _frames(data: bytes) -> Iterator[bytes]:
    start = 0
    while start + _FRAME.size <= len(data):
        _stream, length = _FRAME.unpack_from(data, start)
        start += _FRAME.size
        yield data[start : start + length]
        start += length


def read_stats(name: str, said: Json) -> ReplicaStats | None:
    """Processor time, and memory without what the kernel would give back at once; None of what does not run."""
    memory = said["memory_stats"]
    if "usage" not in memory:
        return None
    details = memory.get("stats", {})
    idle = details.get("total_inactive_file", details.get("inactive_file", 0))  # cgroup 1, cgroup 2
    return ReplicaStats(name, said["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9, memory["usage"] - idle)


def _report(state: Json) -> Json:
    """The ending in the words of ``endings``, which are those of the process driver's warden."""
    if state.get("Error"):
        return {"trouble": state["Error"]}
    if state.get("OOMKilled"):
        return {"exit_code": state["ExitCode"], "exceeded": "memory"}
    if state["ExitCode"] > _SIGNALLED:
        return {"signal": state["ExitCode"] - _SIGNALLED}
    return {"exit_code": state["ExitCode"]}
