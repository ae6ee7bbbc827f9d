"""What is in an image, as a CycloneDX 1.6 bill of materials with the machine-learning model as a component.

Nothing is stated that was not found. Equal images have equal documents: there is no date, and the serial number is made
of the image's digest.
"""

import uuid
from collections.abc import Iterable
from importlib import metadata

from worker.builders.image.documents import Json
from worker.builders.image.locked import Locked
from worker.builders.image.runtime import Runtime
from worker.builders.packages import licence_of
from worker.specs import BuildSpec, Tensor

MEDIA_TYPE = "application/vnd.cyclonedx+json"
_NAMESPACE = uuid.UUID("0a52b0a5-3d2c-4a6f-8d57-9a3b6f1c7e44")


def make_sbom(spec: BuildSpec, packages: Iterable[Locked], runtime: Runtime, digest: str, location: str) -> Json:
    image = _image(spec, digest, location)
    parts = [_model(spec), _base(runtime), *map(_package, packages)]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, digest)}",
        "version": 1,
        "metadata": {"component": image, "tools": {"components": [{"type": "application", "name": "Slipway"}]}},
        "components": parts,
        "dependencies": [
            {"ref": image["bom-ref"], "dependsOn": sorted(part["bom-ref"] for part in parts)},
            *({"ref": part["bom-ref"]} for part in parts),
        ],
    }


def _image(spec: BuildSpec, digest: str, location: str) -> Json:
    return {
        "type": "container",
        "bom-ref": f"image:{digest}",
        "name": location.rpartition("@")[0],
        "version": digest,
        "hashes": [_sha256(digest)],
        "properties": [{"name": "slipway:subject", "value": spec.subject}],
    }


def _model(spec: BuildSpec) -> Json:
    parameters = {
        "modelArchitecture": spec.format,
        "inputs": [{"format": _tensor(tensor)} for tensor in spec.signature.inputs],
        "outputs": [{"format": _tensor(tensor)} for tensor in spec.signature.outputs],
    }
    return {
        "type": "machine-learning-model",
        "bom-ref": f"model:{spec.model}@{spec.version}",
        "name": spec.model,
        "version": spec.version,
        "hashes": [_sha256(spec.file.sha256)],
        "modelCard": {"modelParameters": parameters},
        "properties": [{"name": "slipway:file", "value": spec.file.name}],
    }


def _base(runtime: Runtime) -> Json:
    return {
        "type": "container",
        "bom-ref": f"base:{runtime.base_digest}",
        "name": runtime.base,
        "version": runtime.base_digest,
        "properties": [{"name": "slipway:runtime", "value": runtime.digest}],
    }


def _package(package: Locked) -> Json:
    component: Json = {
        "type": "library",
        "bom-ref": package.purl,
        "name": package.name,
        "version": package.version,
        "purl": package.purl,
    }
    licence = _licence(package)
    return component | ({"licenses": [{"license": {"name": licence}}]} if licence else {})


def _licence(package: Locked) -> str:
    """As the same version tells where it is installed here too."""
    try:
        installed = metadata.distribution(package.name)
    except metadata.PackageNotFoundError:
        return ""
    return licence_of(installed.metadata) if installed.version == package.version else ""


def _sha256(digest: str) -> Json:
    return {"alg": "SHA-256", "content": digest.removeprefix("sha256:")}


def _tensor(tensor: Tensor) -> str:
    return f"{tensor.name}: {tensor.datatype} {list(tensor.shape)}"
