"""A version as a CycloneDX 1.6 machine-learning bill of materials (ML-BOM): what it is, holds, needs and can do.

The model is the component that the document is about; its files and the packages that serving needs are components of
their own, and the dependency graph says so. Nothing is stated that was not found: a field without a fact is left out.
"""

import json
import uuid
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from apps.core.errors import Unavailable
from apps.library import completeness
from apps.library.metadata import Metadata, Result, read_metadata
from apps.library.models import ModelVersion, VersionFile

Json = dict[str, Any]
_NAMESPACE = uuid.UUID("5b1c2a86-2d0d-4e4c-9a43-6a4b8d7f0c11")
APPROACHES = {"classification": "supervised", "regression": "supervised", "ranking": "supervised"}


def make_bom(version: ModelVersion) -> Json:
    """The document, equal for equal facts: its serial number is made of the version's digest and card."""
    facts = read_metadata(version.card)
    files, packages = list(version.files.all()), [_package(text) for text in version.requirements or []]
    model = _model(version, facts)
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, f'{version.pk} {version.digest} {version.card}')}",
        "version": 1,
        "metadata": {
            "timestamp": (version.examined_at or version.created_at).isoformat(),
            "component": model,
            "tools": {"components": [{"type": "application", "name": "Slipway"}]},
        },
        "components": [*map(_file, files), *packages],
        "dependencies": _dependencies(model["bom-ref"], files, packages),
    }


def write_bom(bom: Json) -> str:
    """The document as text, once it was held against the official schema; Unavailable where it does not fit."""
    text = json.dumps(bom, indent=2, ensure_ascii=False)
    problem = _validator().validate_str(text)
    if problem is not None:
        raise Unavailable(
            _("The bill of materials does not fit its own schema: %(reason)s") % {"reason": str(problem)[:300]},
            advice=_("Show an administrator this page."),
        )
    return text


@lru_cache(maxsize=1)
def _validator() -> Any:
    """Imported when first needed: the library and its schemas take as long as many requests."""
    version = import_string("cyclonedx.schema.SchemaVersion").V1_6
    return import_string("cyclonedx.validation.json.JsonStrictValidator")(version)


def _model(version: ModelVersion, facts: Metadata) -> Json:
    component: Json = {
        "type": "machine-learning-model",
        "bom-ref": f"model:{version.model.name}@{version.number}",
        "group": version.project.slug,
        "name": version.model.name,
        "version": str(version.number),
        "description": version.description or version.model.description,
        "authors": [{"name": str(version.uploaded_by), "email": version.uploaded_by.email}],
        "tags": sorted({*version.model.tags, *facts.tags}),
        "licenses": _licences(facts),
        "modelCard": _model_card(version, facts),
        "properties": _properties(version),
    }
    return _filled(component)


def _model_card(version: ModelVersion, facts: Metadata) -> Json:
    signature = version.signature or {}
    task = version.model.task or facts.task
    approach = APPROACHES.get(task)
    parameters = {
        "approach": {"type": approach} if approach else None,
        "task": task,
        "architectureFamily": version.framework,
        "modelArchitecture": version.format,
        "datasets": [{"type": "dataset", "name": name} for name in facts.datasets],
        "inputs": [{"format": _tensor(tensor)} for tensor in signature.get("inputs") or []],
        "outputs": [{"format": _tensor(tensor)} for tensor in signature.get("outputs") or []],
    }
    figures = [*map(_result, facts.results), *_measured(version)]
    return _filled(
        {
            "modelParameters": _filled(parameters),
            "quantitativeAnalysis": _filled({"performanceMetrics": figures}),
            "considerations": _considerations(version.card),
        }
    )


def _considerations(card: str) -> Json:
    """What the card says under the headings that reviewers look for."""
    said = completeness.read_sections(card)
    ethics = said.get("ethics")
    return _filled(
        {
            "useCases": _one(said.get("intended_use")),
            "technicalLimitations": _one(said.get("out_of_scope")),
            "ethicalConsiderations": [{"name": ethics}] if ethics else [],
        }
    )


def _one(text: str | None) -> list[str]:
    return [text] if text else []


def _result(result: Result) -> Json:
    return _filled({"type": result.metric, "value": result.value, "slice": result.dataset})


def _measured(version: ModelVersion) -> Iterable[Json]:
    """What the examination measured itself: latency in the sandbox, and how far a conversion is off."""
    latency = (version.profile or {}).get("latency_ms") or {}
    for name in ("p50", "p99"):
        if isinstance(latency.get(name), int | float):
            yield {"type": f"latency_{name}_ms", "value": f"{latency[name]:g}"}
    for name in ("max_abs_diff", "label_agreement"):
        if isinstance((version.parity or {}).get(name), int | float):
            yield {"type": f"conversion_{name}", "value": f"{version.parity[name]:g}"}


def _tensor(tensor: Json) -> str:
    return f"{tensor['name']}: {tensor['datatype']} {list(tensor['shape'])}"


def _licences(facts: Metadata) -> list[Json]:
    """An SPDX identifier where it is one, else its name."""
    if not facts.licence:
        return []
    spdx = import_string("cyclonedx.spdx.fixup_id")(facts.licence)
    named: Json = {"id": spdx} if spdx else {"name": facts.licence}
    if facts.licence_link.startswith(("https://", "http://")):
        named["url"] = facts.licence_link
    return [{"license": named}]


def _properties(version: ModelVersion) -> list[Json]:
    facts = {
        "slipway:state": version.state,
        "slipway:digest": version.digest,
        "slipway:served_format": version.served_format,
        "slipway:framework_version": version.framework_version,
        "slipway:safety_tier": "" if version.tier is None else str(version.tier),
        **{f"slipway:label:{name}": str(value) for name, value in (version.labels or {}).items()},
    }
    return [{"name": name, "value": value} for name, value in facts.items() if value]


def _file(file: VersionFile) -> Json:
    properties = {"slipway:role": file.role, "slipway:bytes": str(file.artifact.size)}
    if file.is_served:
        properties["slipway:served"] = "true"
    return {
        "type": "file",
        "bom-ref": _file_ref(file),
        "name": file.name,
        "hashes": [{"alg": "SHA-256", "content": file.artifact_id}],
        "properties": [{"name": name, "value": value} for name, value in properties.items()],
    }


def _file_ref(file: VersionFile) -> str:
    return f"file:{file.role}:{file.name}"


def _package(requirement: str) -> Json:
    name, _equals, number = requirement.partition("==")
    purl = f"pkg:pypi/{name.lower().replace('_', '-')}" + (f"@{number}" if number else "")
    return _filled({"type": "library", "bom-ref": purl, "name": name, "version": number, "purl": purl})


def _dependencies(model: str, files: Iterable[VersionFile], packages: Iterable[Json]) -> list[Json]:
    parts = [*map(_file_ref, files), *(package["bom-ref"] for package in packages)]
    unique = sorted(set(parts))
    return [{"ref": model, "dependsOn": unique}, *({"ref": part} for part in unique)]


def _filled(facts: Json) -> Json:
    """Without what nobody knows."""
    return {name: value for name, value in facts.items() if value not in ("", None, [], {})}
