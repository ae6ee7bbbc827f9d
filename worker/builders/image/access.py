"""What the address of a registry says: where it is, under which prefix, and who we are there."""

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from worker.errors import ToolError
from worker.specs import Message, RegistryAccess, gettext_noop

_PATH = re.compile(r"(?:[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/|$))*")  # a repository's name, as registries define it


def registry_access(url: str, ca_file: str = "") -> RegistryAccess | None:
    """The access that ``http(s)://user:password@host:port/prefix`` describes; None where there is no registry.

    ToolError ``bad_registry`` (permanent) where it is no such address.
    """
    if not url:
        return None
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        raise _refuse() from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise _refuse()
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    plain = f"{parts.scheme}://{host}{port}/{parts.path.strip('/')}"
    return RegistryAccess(plain, unquote(parts.username or ""), unquote(parts.password or ""), ca_file)


@dataclass(frozen=True)
class Address:
    """A registry's address in parts."""

    scheme: str
    host: str  # host:port, as image names begin
    prefix: str  # of every repository of ours; empty or without slashes at its ends

    def repository(self, name: str) -> str:
        return f"{self.prefix}/{name}" if self.prefix else name


def parse_address(access: RegistryAccess) -> Address:
    """ToolError ``bad_registry`` (permanent) for a prefix that registries would refuse, or plain HTTP to elsewhere."""
    parts = urlsplit(access.url)
    prefix = parts.path.strip("/")
    if not _PATH.fullmatch(prefix):
        raise _refuse()
    if parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
        words = gettext_noop(
            "The registry %(host)s is asked for over plain HTTP, and it is not on this machine: passwords and models"
            " would travel in the open. Give it a certificate and write https in SLIPWAY_REGISTRY_URL."
        )
        raise ToolError(Message(words, {"host": parts.netloc}), kind="bad_registry", permanent=True)
    return Address(parts.scheme, parts.netloc, prefix)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _refuse() -> ToolError:
    words = gettext_noop(
        "SLIPWAY_REGISTRY_URL is not the address of a registry. Write it as https://user:password@host:port/prefix,"
        " the prefix in lower case."
    )
    return ToolError(Message(words), kind="bad_registry", permanent=True)
