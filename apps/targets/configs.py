"""What a target may be told, by kind: which machines, and which credentials they need. Plain rules, no tables."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.utils.translation import gettext as _

from apps.core.errors import Invalid

TLS, SSH = ("ca", "cert", "key"), ("ssh_key", "known_hosts")
SECRETS = (*TLS, *SSH)
MACHINES = {"docker": "hosts", "swarm": "managers"}  # under which name a kind's settings list its machines
SCHEMES = {"tcp": TLS, "ssh": SSH, "unix": ()}
TLS_PORT = 2376
MOST_MACHINES = 50
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_CONSTRAINT = re.compile(r"(node|engine)\.[A-Za-z0-9._-]+ *(==|!=) *[^\s=!][^=!]*")
_PEM = re.compile(r"\s*-----BEGIN [A-Z0-9 ]+-----.*-----END [A-Z0-9 ]+-----\s*", re.DOTALL)


@dataclass(frozen=True)
class Machine:
    """One host of a target: the name that people know it by, and where its engine is reached."""

    name: str
    url: str


def machines_of(kind: str, config: Mapping[str, Any]) -> list[Machine]:
    """The machines that the settings name; none for kinds that have none."""
    rows = config.get(MACHINES.get(kind, "")) or []
    return [Machine(str(row["name"]), str(row["url"])) for row in rows]


def read_machine(line: str) -> Machine:
    """A machine as people write it: ``[name] address``; the name is else the address's, and ``tcp://`` goes unsaid.

    ValueError where it is neither one word nor two.
    """
    *named, address = line.split()
    if len(named) > 1:
        raise ValueError(line)
    url = address if "://" in address else _whole(address)
    return Machine(named[0] if named else _name_of(url), url)


def _whole(address: str) -> str:
    """``user@host`` is meant for SSH, a bare host for TLS on Docker's own port."""
    if "@" in address:
        return f"ssh://{address}"
    return f"tcp://{address}" if re.search(r":\d+$", address) else f"tcp://{address}:{TLS_PORT}"


def _name_of(url: str) -> str:
    """Never longer than a name may be; what an address cannot be a name with is for ``refuse_settings`` to say."""
    try:
        return (urlsplit(url).hostname or "engine").replace(":", "-")[:63]
    except ValueError:
        return "engine"


def refuse_settings(kind: str, config: Mapping[str, Any], secrets: Mapping[str, str]) -> None:
    """Invalid, by field, where machines or credentials are missing or cannot be right."""
    if kind not in MACHINES:
        return
    errors = {**_wrong_machines(kind, config), **_wrong_cluster(kind, config), **_wrong_secrets(secrets)}
    if not errors:
        errors = _missing_secrets(machines_of(kind, config), secrets)
    if errors:
        raise Invalid(_("The target cannot be reached like this. Look at the fields below."), errors=errors)


def _wrong_machines(kind: str, config: Mapping[str, Any]) -> dict[str, list[str]]:
    rows = config.get(MACHINES[kind])
    if not isinstance(rows, list) or not 0 < len(rows) <= MOST_MACHINES:
        return {"hosts": [_("Name between 1 and %(most)s machines.") % {"most": MOST_MACHINES}]}
    if not all(isinstance(row, dict) and set(row) == {"name", "url"} for row in rows):
        return {"hosts": [_("Each machine has a name and an address, and nothing else.")]}
    found = machines_of(kind, config)
    said = [text for machine in found if (text := _wrong(machine))]
    if len({machine.name for machine in found}) < len(found):
        said.append(_("Two machines have the same name."))
    return {"hosts": said} if said else {}


def _wrong_cluster(kind: str, config: Mapping[str, Any]) -> dict[str, list[str]]:
    """What only a Swarm cluster is told: on which nodes replicas may run, and where the nodes' own engines answer."""
    if kind != "swarm":
        return {}
    wrong: dict[str, list[str]] = {}
    rows, port = config.get("constraints") or [], config.get("engine_port") or 0
    if not isinstance(rows, list) or not all(isinstance(row, str) and _CONSTRAINT.fullmatch(row) for row in rows):
        wrong["constraints"] = [_("Each is a fact of a node, == or !=, and a value: node.labels.gpu==yes")]
    if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port < 65536:
        wrong["engine_port"] = [_("A port is a number up to 65535.")]
    return wrong


def _wrong(machine: Machine) -> str:
    if not _NAME.fullmatch(machine.name):
        return _("“%(name)s” cannot be a machine's name: letters, digits, dots and hyphens.") % {"name": machine.name}
    try:
        parts = urlsplit(machine.url)
        is_right = parts.scheme in SCHEMES and bool(parts.hostname or parts.scheme == "unix") and parts.port != 0
    except ValueError:
        is_right = False
    if not is_right:
        return _("“%(url)s” is no address of a Docker engine: tcp://host:2376 or ssh://user@host.") % {
            "url": machine.url
        }
    return ""


def _wrong_secrets(secrets: Mapping[str, str]) -> dict[str, list[str]]:
    """Contents, never names of files or variables elsewhere: what is stored is what is used."""
    wrong = {name: [_("Unknown.")] for name in secrets if name not in SECRETS}
    for name in ("ca", "cert", "key", "ssh_key"):
        if secrets.get(name) and not _PEM.fullmatch(secrets[name]):
            wrong[name] = [_("Paste the whole text, from -----BEGIN to the end of the last line.")]
    return wrong


def _missing_secrets(machines: list[Machine], secrets: Mapping[str, str]) -> dict[str, list[str]]:
    needed = {name: machine for machine in machines for name in SCHEMES[urlsplit(machine.url).scheme]}
    return {
        name: [_("%(machine)s needs it.") % {"machine": machine.name}]
        for name, machine in needed.items()
        if not secrets.get(name)
    }
