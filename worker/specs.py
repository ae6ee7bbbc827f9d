"""The words between tasks and tools: frozen values that carry no behaviour.

Sizes are bytes and times are seconds unless a name says otherwise.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


def gettext_noop(text: str) -> str:
    """Mark a sentence for the translators without translating it here: pages do that when they show it."""
    return text


@dataclass(frozen=True)
class Message:
    """A sentence for a person: an English template and what goes into it, so that pages can translate it."""

    text: str
    params: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.text % self.params if self.params else self.text

    def to_json(self) -> dict[str, Any]:
        return {"text": self.text, "params": dict(self.params)}


# --- what a model takes and gives -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tensor:
    """One named tensor of the Open Inference Protocol; −1 in ``shape`` is a free dimension."""

    name: str
    datatype: str  # BOOL UINT8 … INT64 FP16 FP32 FP64 BYTES
    shape: tuple[int, ...]
    columns: tuple[str, ...] = ()  # names of the last dimension's places, where the model knows them

    def to_json(self) -> dict[str, Any]:
        named = {"columns": list(self.columns)} if self.columns else {}
        return {"name": self.name, "datatype": self.datatype, "shape": list(self.shape), **named}


@dataclass(frozen=True)
class Signature:
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    def to_json(self) -> dict[str, Any]:
        return {"inputs": [t.to_json() for t in self.inputs], "outputs": [t.to_json() for t in self.outputs]}


def signature_from_json(data: Mapping[str, Any]) -> Signature:
    def tensors(rows: list[dict[str, Any]]) -> tuple[Tensor, ...]:
        return tuple(
            Tensor(row["name"], row["datatype"], tuple(row["shape"]), tuple(row.get("columns") or ())) for row in rows
        )

    return Signature(tensors(data["inputs"]), tensors(data["outputs"]))


# --- files ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SourceFile:
    """One stored file: where its bytes lie (read-only, named by digest) and the relative name it came under."""

    path: Path
    name: str
    sha256: str
    size: int


# --- examination ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ExamineSpec:
    """What to examine, and the limits to do it under."""

    files: tuple[SourceFile, ...]
    scratch: Path  # an empty folder of ours; converted files are left in it
    example: Mapping[str, Any] | None = None  # an inference request of the user's: {"inputs": [...]}
    memory_bytes: int = 4 << 30  # beside twice the size of the model, within half of the machine's
    seconds: float = 60.0  # for each gigabyte begun
    unpacked_bytes: int = 10 << 30  # that an archive or a compressed file may become
    excepted: tuple[str, ...] = ()  # names beyond the allow-list that an exception was granted for


@dataclass(frozen=True)
class Evidence:
    """The outcome of one check, as the version page shows it.

    The same ``check`` key is reported first as ``running`` and then with its outcome.
    """

    check: str  # content, safety, sandbox, load, signature, predict, convert, profile
    state: str  # running passed warned failed skipped
    summary: Message  # one line of evidence
    reason: Message | None = None  # why it failed or warned
    advice: Message | None = None  # what the uploader can do
    details: Mapping[str, Any] = field(default_factory=dict)  # plain JSON: figures, names, versions
    seconds: float = 0.0


@dataclass(frozen=True)
class Verdict:
    """The end of an examination. Where ``accepted`` is false only ``evidence`` already reported says why."""

    accepted: bool
    format: str = ""  # what the upload is: onnx sklearn xgboost lightgbm
    framework: str = ""  # the library that made it: onnx scikit-learn xgboost lightgbm pytorch …
    framework_version: str = ""
    tier: int = 0
    signature: Signature | None = None
    served_path: Path | None = None  # the file that will run: the source file, or a converted one in scratch
    served_format: str = ""  # onnx skops xgboost lightgbm: the runtime's loader
    served_name: str = ""  # the name it gets in the bundle, e.g. model.onnx
    requirements: tuple[str, ...] = ()  # exact pins that serving needs, e.g. onnxruntime==1.31.1
    labels: tuple[str, ...] = ()  # class labels, where the model knows them
    golden: Mapping[str, Any] = field(default_factory=dict)  # {"request": {"inputs": …}, "response": {"outputs": …}}
    profile: Mapping[str, Any] = field(default_factory=dict)  # file_bytes memory_bytes latency_ms{p50 p99 batch_8 …}
    parity: Mapping[str, Any] = field(default_factory=dict)  # {"samples", "max_abs_diff", "tolerance", "passed"}
    trusted: tuple[str, ...] = ()  # types that a skops file may load: from our list, never from the file
    card: str = ""  # of a README that lay beside the model in an archive


# --- building ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class BuildSpec:
    """Everything that decides what is built; the same spec gives the same bytes and the same digest."""

    model: str
    version: str
    subject: str  # the approved digest
    file: SourceFile  # the file that is served, under its name in the bundle
    format: str
    signature: Signature
    requirements: tuple[str, ...]
    golden: Mapping[str, Any] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    batching: Mapping[str, Any] = field(default_factory=dict)  # max_size, max_delay_ms
    trusted: tuple[str, ...] = ()  # types that a skops file may load: what its approval was given for
    uses_gpus: bool = False  # with the packages that can, in place of those that cannot


@dataclass(frozen=True)
class Step:
    """One timed part of a build or a start."""

    name: str
    seconds: float
    detail: Message | None = None


@dataclass(frozen=True)
class BuildResult:
    digest: str  # sha256 of the bundle's manifest, or the image digest
    location: str  # the bundle's folder, or the image reference by digest
    environment: str = ""  # the virtual environment's folder, where there is one
    lock_digest: str = ""  # sha256 of the hash-locked requirements
    steps: tuple[Step, ...] = ()
    attachments: Mapping[str, Any] = field(default_factory=dict)  # of an image: sbom, provenance (plain JSON)


# --- running ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RegistryAccess:
    """How to reach the registry that images are pushed to and pulled from."""

    url: str  # http(s)://host:port/prefix, without credentials
    username: str = ""
    password: str = field(default="", repr=False)
    ca_file: str = ""  # certificates that the registry's own is trusted by; empty: those of the machine


@dataclass(frozen=True)
class ImageSource:
    """An image in a registry, by its digest."""

    location: str  # host:port/repository@sha256:…
    registry: RegistryAccess | None


@dataclass(frozen=True)
class TargetSpec:
    """Where to run: a kind of driver, its plain settings and its opened credentials."""

    name: str
    kind: str
    config: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    draining: tuple[str, ...] = ()  # names of nodes that get nothing new
    eyes: ImageSource | None = None  # packages without a model, for a look at hosts that have no image of ours yet


@dataclass(frozen=True)
class CheckLine:
    """One line of a target's check: what was looked at, whether it is fine, and what was seen."""

    name: str
    ok: bool
    detail: Message

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "ok": self.ok, "detail": self.detail.to_json()}


@dataclass(frozen=True)
class Node:
    """One machine of a target, with what it has and what is free."""

    name: str
    state: str  # ready, draining, down
    cpus: float
    memory_bytes: int
    memory_free_bytes: int
    disk_free_bytes: int
    gpus: tuple[Mapping[str, Any], ...] = ()
    load: float | None = None  # processes that run or wait for a processor, over the last minute
    owners: Mapping[str, int] = field(default_factory=dict)  # containers that run, by instance; "": nobody's of ours


@dataclass(frozen=True)
class ReplicaSpec:
    """One replica to run. ``name`` is its identity: starting a name that runs already is a success."""

    name: str  # slipway-<deployment>-<release>-<index>
    labels: Mapping[str, str]  # instance, deployment, release, generation
    location: str  # BuildResult.location
    environment: str  # BuildResult.environment
    digest: str  # BuildResult.digest, verified before start
    secret: str = field(repr=False, default="")  # what the gateway must show
    memory_bytes: int = 2 << 30
    cpus: float = 1.0
    drain_seconds: float = 10.0
    needs_wall: bool = False  # a model of tier 2: run it behind a sandbox or not at all
    registry: RegistryAccess | None = None  # of an image: where it is pulled from
    gpus: int = 0  # that it needs to itself


@dataclass(frozen=True)
class ReplicaStatus:
    """What a driver sees of one replica now."""

    name: str
    state: str  # starting running exited gone
    address: str = ""  # host:port, once it listens
    labels: Mapping[str, str] = field(default_factory=dict)
    started_at: float = 0.0  # seconds since the epoch
    exit_code: int | None = None
    kind: str = ""  # of failure: crashed, out_of_memory, killed, start_timeout …
    reason: Message | None = None
    log: str = ""  # the log line that shows why
    node: str = ""  # the machine it is on, where the target has several
    digest: str = ""  # of what really runs, where the target can tell


@dataclass(frozen=True)
class ReplicaStats:
    """Resources of one replica since it started: subtract two readings for a rate."""

    name: str
    cpu_seconds: float
    memory_bytes: int


# --- telling people ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ChannelSpec:
    kind: str  # webhook, mail
    config: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Notice:
    """What happened, for a channel to tell; ``key`` makes repeated deliveries recognisable."""

    key: str
    event: str  # alert.firing, alert.resolved, channel.test …
    at: str  # RFC 3339
    title: str
    text: str
    data: Mapping[str, Any] = field(default_factory=dict)
    url: str = ""


@dataclass(frozen=True)
class Receipt:
    """A delivery that worked: what the other side answered."""

    status: int
    seconds: float
    answer: str = ""  # at most 500 characters
