"""The bundle's ``slipway.json``: what is served here, read strictly and checked against the model file's bytes."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from .errors import StartError
from .tensors import DATATYPES, Tensor

MANIFEST_NAME = "slipway.json"


@dataclass(frozen=True)
class Signature:
    """The tensors that the model takes and gives, in the order in which it takes and gives them."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    @property
    def has_free_rows(self) -> bool:
        """Whether every tensor's first dimension is free: only then may requests be joined."""
        return all(tensor.shape[:1] == (-1,) for tensor in self.inputs + self.outputs)


@dataclass(frozen=True)
class Manifest:
    """One model as the builder packed it."""

    model: str
    version: str
    subject: str
    format: str
    file: Path
    sha256: str
    signature: Signature
    max_rows: int = 32
    max_delay: float = 0.0  # seconds that a call may wait for company
    max_queue: int = 512
    labels: tuple[str, ...] = ()
    trusted: tuple[str, ...] = ()  # types that skops may load
    golden: Mapping[str, Any] = field(default_factory=dict)


def read_manifest(bundle: Path) -> Manifest:
    """Read and check ``slipway.json``; ``StartError`` names what is missing or wrong."""
    path = bundle / MANIFEST_NAME
    try:
        data = orjson.loads(path.read_bytes())
        return _manifest(data, bundle)
    except OSError as error:
        raise StartError(f"{path} cannot be read: {error.strerror}") from error
    except KeyError as error:
        raise StartError(f"{path} has no {error.args[0]!r}") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise StartError(f"{path} is not a manifest: {error}") from error


def _manifest(data: Mapping[str, Any], bundle: Path) -> Manifest:
    batching = data.get("batching") or {}
    signature = data["signature"]
    return Manifest(
        model=str(data["model"]),
        version=str(data["version"]),
        subject=str(data["subject"]),
        format=str(data["format"]),
        file=_inside(bundle, str(data["file"])),
        sha256=str(data["sha256"]).removeprefix("sha256:"),
        signature=Signature(_tensors(signature["inputs"]), _tensors(signature["outputs"])),
        max_rows=max(1, int(batching.get("max_size", 32))),
        max_delay=max(0.0, float(batching.get("max_delay_ms", 0)) / 1000),
        max_queue=max(1, int(batching.get("max_queue", 512))),
        labels=tuple(map(str, data.get("labels") or ())),
        trusted=tuple(map(str, data.get("trusted") or ())),
        golden=data.get("golden") or {},
    )


def _tensors(rows: list[dict[str, Any]]) -> tuple[Tensor, ...]:
    if not rows:
        raise ValueError("the signature has no tensors on one side")
    for row in rows:
        if row["datatype"] not in DATATYPES:
            raise ValueError(f"tensor {row['name']!r} has the datatype {row['datatype']}, which cannot be served")
    return tuple(Tensor(str(row["name"]), row["datatype"], tuple(map(int, row["shape"]))) for row in rows)


def _inside(bundle: Path, name: str) -> Path:
    """The file of that name in the bundle; a name that leads out of it is refused."""
    root = bundle.resolve()
    path = (root / name).resolve()
    if not path.is_relative_to(root):
        raise ValueError(f"the file {name!r} lies outside the bundle")
    return path


def verify_file(manifest: Manifest) -> None:
    """Raise ``StartError`` unless the model file holds exactly the bytes that the manifest names."""
    try:
        with manifest.file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise StartError(f"the model file {manifest.file} cannot be read: {error.strerror}") from error
    if not hmac.compare_digest(digest, manifest.sha256):
        raise StartError(
            f"the model file {manifest.file.name} is not the one that was approved: "
            f"its sha256 is {digest}, the manifest says {manifest.sha256}"
        )
