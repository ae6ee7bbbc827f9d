"""What every builder promises, and what it may be told."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from worker.specs import BuildResult, BuildSpec


@dataclass(frozen=True)
class BuildSettings:
    """Where packages come from. Empty means: as the machine is set up."""

    index_url: str = ""  # a package index of your own
    ca_bundle: str = ""  # a file of certificates, where the network re-signs TLS
    offline: bool = False  # only what is in the cache already
    torch_index_url: str = ""  # where PyTorch's builds for processors lie; asked beside the index
    find_links: str = ""  # a folder or page with packages of your own


class Builder(ABC):
    """Builds what a driver starts.

    * The same spec gives the same digest, byte for byte, however often and wherever it is built.
    * Building what exists already costs next to nothing and changes nothing.
    * A build that is killed leaves nothing that a later one would mistake for finished.
    * No line of the model or of its packages is run, but for the golden sample, and that behind the sandbox's wall.
    * A model that answers its golden sample differently than when it was examined is not built: ``golden_mismatch``.
    """

    @abstractmethod
    def build(self, spec: BuildSpec, home: Path) -> BuildResult:
        """Build below ``home`` and return digest, location and timed steps; ToolError says what stood in the way."""
