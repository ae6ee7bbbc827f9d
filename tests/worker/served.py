"""What was examined, packed by the real builder and asked through the runtime's own code, in this process."""

import hashlib
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from worker.builders.bundles import RUNTIME, pack_bundle
from worker.specs import BuildSpec, SourceFile, Verdict

Ask = Callable[[dict[str, Any]], dict[str, Any]]


def bundle_of(verdict: Verdict, home: Path, **other: Any) -> Path:
    """The accepted model as a bundle below ``home``; ``other`` replaces facts of its spec."""
    path = verdict.served_path
    assert path
    assert verdict.signature
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    facts: dict[str, Any] = {
        "model": "model",
        "version": "1",
        "subject": "sha256:" + "ab" * 32,
        "file": SourceFile(path, verdict.served_name, digest, path.stat().st_size),
        "format": verdict.served_format,
        "signature": verdict.signature,
        "requirements": verdict.requirements,
        "golden": verdict.golden,
        "labels": verdict.labels,
        "trusted": verdict.trusted,
    }
    return pack_bundle(BuildSpec(**facts | other), home)[1]


def open_bundle(bundle: Path, imports: Path) -> Ask:
    """Loads as a replica does, golden sample included; gives what answers a request's JSON.

    ``imports`` is a folder of the caller's that becomes part of the import path.
    """
    runtime = {
        name: _module(name, imports) for name in ("manifest", "loaders.registry", "warmup", "decoding", "answers")
    }
    manifest = runtime["manifest"].read_manifest(bundle)
    runtime["manifest"].verify_file(manifest)
    trial = runtime["warmup"].try_model(runtime["loaders.registry"].load_model(manifest, 1), manifest)
    decoder, encoder = runtime["decoding"].Decoder(manifest.signature), runtime["answers"].Encoder(manifest)

    def ask(request: dict[str, Any]) -> dict[str, Any]:
        call = decoder.decode(orjson.dumps(request), None)
        answer: dict[str, Any] = orjson.loads(encoder.encode(call, trial.run(call.inputs))[0])
        return answer

    return ask


def _module(name: str, imports: Path) -> Any:
    if not (imports / "slipway_runtime").exists():
        (imports / "slipway_runtime").symlink_to(RUNTIME, target_is_directory=True)
    if str(imports) not in sys.path:
        sys.path.append(str(imports))
    return importlib.import_module(f"slipway_runtime.{name}")
