"""The immutable folder that is started: the runtime, the model and ``slipway.json``, named by the digest of it all.

The digest is the sha256 over one line per file, sorted by path: ``<path> <size> <sha256>``.
"""

import hashlib
import json
import os
import shutil
import tempfile
import time
from pathlib import Path, PurePosixPath
from typing import Any

from worker.errors import ToolError
from worker.specs import BuildSpec, Message, SourceFile, gettext_noop

RUNTIME = Path(__file__).resolve().parent.parent / "runtime"
MANIFEST = "slipway.json"
_DRAFT = ".draft-"


def pack_bundle(spec: BuildSpec, home: Path) -> tuple[str, Path]:
    """Lay out the bundle below ``home/bundles`` and return its digest and folder.

    ToolError ``digest_mismatch`` (permanent) where the stored file is not the one that was approved.
    """
    shelf = home / "bundles"
    shelf.mkdir(parents=True, exist_ok=True)
    _sweep_drafts(shelf)
    draft = Path(tempfile.mkdtemp(prefix=_DRAFT, dir=shelf))
    try:
        _lay_out(spec, draft)
        digest = digest_of(draft)
        return digest, _publish(draft, shelf / digest)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _sweep_drafts(shelf: Path) -> None:
    """Remove what builds left behind that were killed more than a day ago."""
    for draft in shelf.glob(f"{_DRAFT}*"):
        if draft.stat().st_mtime < time.time() - 86_400:
            shutil.rmtree(draft, ignore_errors=True)


def digest_of(bundle: Path) -> str:
    """The digest of what lies in this folder now; every byte is read."""
    lines = [f"{name} {size} {sha256}\n" for name, size, sha256 in _listing(bundle)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def verify_bundle(bundle: Path, digest: str) -> None:
    """Read every byte again; ToolError ``digest_mismatch`` (permanent) names the first file that changed."""
    if not (bundle / MANIFEST).is_file():
        words = gettext_noop("The bundle %(bundle)s is not there any more. Build the release again.")
        raise ToolError(Message(words, {"bundle": bundle.name}), kind="bundle_missing", permanent=True)
    if digest_of(bundle) != digest:
        raise _mismatch(_changed_file(bundle))


def _lay_out(spec: BuildSpec, draft: Path) -> None:
    name = _plain_name(spec.file)
    (draft / "model").mkdir()
    _take(spec.file, draft / "model" / name)
    copy_runtime(draft / "slipway_runtime")
    manifest = _manifest(spec, name) | {"files": _expected(draft)}
    text = json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False)
    (draft / MANIFEST).write_text(text + "\n", encoding="utf-8")
    (draft / MANIFEST).chmod(0o444)


def copy_runtime(target: Path) -> None:
    """Copy the inference server's sources; caches and anything that is not Python stay behind."""
    for source in sorted(RUNTIME.rglob("*.py")):
        place = target / source.relative_to(RUNTIME)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, place)
        place.chmod(0o444)


def _manifest(spec: BuildSpec, name: str) -> dict[str, Any]:
    return {
        "model": spec.model,
        "version": spec.version,
        "subject": spec.subject,
        "format": spec.format,
        "file": f"model/{name}",
        "sha256": spec.file.sha256,
        "signature": spec.signature.to_json(),
        "labels": list(spec.labels),
        "batching": dict(spec.batching),
        "golden": dict(spec.golden),
        "trusted": list(spec.trusted),
        "requirements": list(spec.requirements),
    }


def _plain_name(file: SourceFile) -> str:
    name = PurePosixPath(file.name).name
    if not name or name in (".", "..") or not name.isprintable():
        words = gettext_noop(
            'The file name "%(name)s" cannot be used in a bundle. Rename the file and upload it again.'
        )
        raise ToolError(Message(words, {"name": file.name}), kind="bad_name", permanent=True)
    return name


def _take(file: SourceFile, place: Path) -> None:
    """Link or copy the model into the bundle, and make sure that it is the approved one."""
    _link_or_copy(file.path.resolve(), place)
    if _sha256(place) != file.sha256.removeprefix("sha256:"):
        raise _mismatch(file.name)


def _link_or_copy(source: Path, place: Path) -> None:
    """A hard link costs neither time nor space, and the store never writes to a file again."""
    try:
        os.link(source, place)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, place)
        place.chmod(0o444)


def _publish(draft: Path, place: Path) -> Path:
    """Give the finished folder its name; where it has been built before, that one stays."""
    draft.chmod(0o755)
    try:
        draft.rename(place)
    except OSError:
        if not place.is_dir():
            raise
        verify_bundle(place, place.name)
    return place


def _listing(bundle: Path) -> list[tuple[str, int, str]]:
    """Everything but folders, compiled files too: a planted one would run in place of its source."""
    paths = [path for path in bundle.rglob("*") if path.is_symlink() or not path.is_dir()]
    return sorted((str(path.relative_to(bundle)), path.lstat().st_size, _sha256(path)) for path in paths)


def _expected(bundle: Path) -> dict[str, str]:
    return {name: sha256 for name, _, sha256 in _listing(bundle)}


def _sha256(path: Path) -> str:
    """A link has no digest: it could lead elsewhere tomorrow."""
    if path.is_symlink() or not path.is_file():
        return "not-a-file"
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _changed_file(bundle: Path) -> str:
    """The file that differs from the bundle's own list, or the list itself."""
    try:
        expected = json.loads((bundle / MANIFEST).read_bytes())["files"]
    except (OSError, ValueError, KeyError):
        return MANIFEST
    found = {name: sha256 for name, _, sha256 in _listing(bundle) if name != MANIFEST}
    changed = sorted(name for name in {*expected, *found} if expected.get(name) != found.get(name))
    return changed[0] if changed else MANIFEST


def _mismatch(name: str) -> ToolError:
    words = gettext_noop(
        "The file %(name)s is not the one that was approved: its digest differs. Build the release again from a version"
        " that is intact."
    )
    return ToolError(Message(words, {"name": name}), kind="digest_mismatch", permanent=True)
