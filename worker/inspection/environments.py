"""The libraries with which foreign formats are opened: each in a virtual environment of its own, made when needed.

The worker never imports them. An environment is locked by hash like those that models are served in, made once for a
set of packages, and shown to the sandbox read-only.
"""

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from worker.builders.base import BuildSettings
from worker.builders.locking import lock
from worker.builders.venvs import ensure_environment

TITLES = {"torch": "PyTorch", "tensorflow": "TensorFlow"}

_OWN = {
    "torch": ("torch==2.13.0", "onnxscript==0.7.2", "keras==3.15.1", "h5py==3.14.0"),  # Keras runs on PyTorch here
    "tensorflow": ("tensorflow-cpu==2.21.0", "tf2onnx==1.17.0"),
}
_SHARED = ("numpy", "onnx", "onnxruntime")  # what the probes import themselves, at the versions of this process


@dataclass(frozen=True)
class Environments:
    """Where the environments lie, and where their packages come from."""

    home: Path
    settings: BuildSettings

    def packages(self, name: str) -> tuple[str, ...]:
        return tuple(sorted((*_OWN[name], *(f"{package}=={version(package)}" for package in _SHARED))))

    def prepare(self, name: str) -> Path:
        """The folder of an environment, made now if there is none; ToolError where its packages cannot be had."""
        lock_file = lock(self.packages(name), self.home, self.settings)
        return ensure_environment(lock_file, self.home, self.settings)
