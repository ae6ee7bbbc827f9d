"""The log's head, signed now and then and kept outside the database: in the data folder and, if wished, elsewhere.

Whoever rewrites the database, hashes and all, still meets the heads that were signed. ``<data folder>/audit/`` holds
``signed.jsonl``, which only grows (``{"note"}``, a signed note a line), and ``verified.json``, what verification found
last. Copies go to the place that ``SLIPWAY_AUDIT_CHECKPOINTS`` names: the witness for what this machine cannot witness.
"""

import base64
import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings

from apps.audit.verifier import ED25519, EXPORT, BadNote, Checkpoint, Key, Problem, Verdict, key_id, open_checkpoint

TAIL = 4096  # bytes; a line has some 300


@dataclass(frozen=True)
class Verification:
    """What one verification found: when, how far the chain held, and what was wrong after that (None: nothing)."""

    at: str
    seq: int
    hash: str
    problem: Problem | None = None

    @property
    def is_whole(self) -> bool:
        return self.problem is None

    @property
    def moment(self) -> datetime:
        return datetime.fromisoformat(self.at)


def note(verdict: Verdict) -> Verification:
    """Keep what was found, in place of what was found before."""
    found = Verification(_now(), verdict.seq, verdict.hash, verdict.problem)
    path = _folder() / "verified.json"
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(asdict(found)), encoding="utf-8")
    draft.replace(path)
    return found


def last_verification() -> Verification | None:
    path = _folder() / "verified.json"
    return Verification(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None


def sign(seq: int, digest: str) -> str:
    """A checkpoint of the head with this number and hash."""
    return _sign(origin(), str(seq), _b64(bytes.fromhex(digest)), _now())


def sign_export(seq: int, digest: str, *, project: str, sha256: str) -> str:
    """The manifest of an export: the head it ends with, of whose entries it shows the content, and its own digest."""
    scope = f"project {project}" if project else "all projects"
    return _sign(origin() + EXPORT, str(seq), _b64(bytes.fromhex(digest)), _now(), scope, f"sha256 {sha256}")


def append(signed: str) -> None:
    """Add a checkpoint to the data folder's and force it to disk; what a crash has left half written goes."""
    with open(_path(), "ab+", opener=_private) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - TAIL))
        file.truncate(size - len(file.read().rpartition(b"\n")[2]))
        file.write(json.dumps({"note": signed}).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def kept() -> Iterator[str]:
    """All checkpoints of the data folder, in the order in which they were signed."""
    if not _path().exists():
        return
    with _path().open(encoding="utf-8") as lines:
        for line in lines:
            if line.endswith("\n"):  # a line without its end was being written when the machine stopped
                yield json.loads(line)["note"]


def last_checkpoint() -> Checkpoint | None:
    """The newest checkpoint of the data folder; None where there is none, or one that was changed."""
    if not _path().exists():
        return None
    with _path().open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - TAIL))
        lines = file.read().splitlines(keepends=True)
    whole = [line for line in lines if line.endswith(b"\n")]
    with contextlib.suppress(BadNote):
        return open_checkpoint(json.loads(whole[-1])["note"], public_keys()) if whole else None
    return None


def origin() -> str:
    """The name of this installation's log."""
    return f"slipway-{settings.SLIPWAY_INSTANCE}/audit"


def public_keys() -> list[Key]:
    """Whose signatures count here, newest first; only the newest signs."""
    keys = [Ed25519PrivateKey.from_private_bytes(seed).public_key() for seed in settings.SLIPWAY_AUDIT_KEYS]
    return [Key(origin(), key_id(origin(), key.public_bytes_raw()), key) for key in keys]


def key_texts() -> list[str]:
    """The public keys as the verifier takes them: ``<name>+<id>+<base64>``."""
    return [f"{key.name}+{key.id.hex()}+{_b64(ED25519 + key.public.public_bytes_raw())}" for key in public_keys()]


def _sign(*lines: str) -> str:
    text = "".join(f"{line}\n" for line in lines)
    signature = Ed25519PrivateKey.from_private_bytes(settings.SLIPWAY_AUDIT_KEYS[0]).sign(text.encode())
    key = public_keys()[0]
    return f"{text}\n— {key.name} {_b64(key.id + signature)}\n"


def _folder() -> Path:
    folder = Path(settings.SLIPWAY_HOME) / "audit"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _path() -> Path:
    return _folder() / "signed.jsonl"


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
