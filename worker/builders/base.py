"""What every builder promises, and what it may be told."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from worker.specs import BuildResult, BuildSpec, RegistryAccess

Tell = Callable[[str], None]  # takes one line of the log, as it comes


def keep_quiet(line: str) -> None:
    """For whoever does not read along."""


@dataclass(frozen=True)
class BuildSettings:
    """Where packages come from, and what an image is made with. Empty means: as the machine is set up."""

    index_url: str = ""  # a package index of your own
    ca_bundle: str = ""  # a file of certificates, where the network re-signs TLS
    offline: bool = False  # only what is in the cache already
    torch_index_url: str = ""  # where PyTorch's builds for processors lie; asked beside the index
    find_links: str = ""  # a folder or page with packages of your own
    registry: RegistryAccess | None = None  # where images go
    base_image: str = "python:3.11-slim"  # what the packages are laid on
    base_python: str = "3.11"  # the Python that is in it
    build_host: str = "unix:///var/run/docker.sock"  # the Docker engine that lays them
    build_host_certs: str = ""  # a folder with ca.pem, cert.pem and key.pem, for a host over TLS
    build_network: str = ""  # the network that packages are fetched through there; empty: the engine's default
    signing_keys: tuple[bytes, ...] = field(default=(), repr=False)  # Ed25519 seeds; the first one signs


class Builder(ABC):
    """Builds what a driver starts.

    * The same spec gives the same digest, byte for byte, however often and wherever it is built.
    * Building what exists already costs next to nothing and changes nothing.
    * A build that is killed leaves nothing that a later one would mistake for finished.
    * No line of the model or of its packages is run, but for the golden sample, and that behind the sandbox's wall.
    * A model that answers its golden sample differently than when it was examined is not built: ``golden_mismatch``.
    """

    @abstractmethod
    def build(self, spec: BuildSpec, home: Path, tell: Tell = keep_quiet) -> BuildResult:
        """Build below ``home`` and return digest, location and timed steps; ToolError says what stood in the way.

        What takes long is told line by line while it happens.
        """
