"""What a card's metadata says about a model, in the words of model hubs, whatever shape it was written in."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from apps.core.errors import Invalid
from apps.library import front_matter
from apps.library.models import ModelVersion
from apps.library.names import check_tags

MAX_LISTED = 50
MAX_LENGTH = 300
TASKS = {  # of a hub's pipelines, where ours has another word
    "tabular-classification": "classification",
    "text-classification": "classification",
    "image-classification": "classification",
    "tabular-regression": "regression",
    "feature-extraction": "embedding",
    "sentence-similarity": "embedding",
    "object-detection": "detection",
    "image-segmentation": "segmentation",
    "text-generation": "generation",
    "time-series-forecasting": "forecasting",
}


@dataclass(frozen=True)
class Result:
    """One measured figure: what was measured, how much, for which task and on which data."""

    metric: str
    value: str
    dataset: str = ""
    task: str = ""


@dataclass(frozen=True)
class Metadata:
    """The facts that pages, completeness and the bill of materials read. ``problem`` says why there are none."""

    licence: str = ""
    licence_link: str = ""
    task: str = ""
    library: str = ""
    tags: list[str] = field(default_factory=list)
    languages: list[str] = field(default_factory=list)
    datasets: list[str] = field(default_factory=list)
    metrics: list[str] = field(default_factory=list)
    base_models: list[str] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    problem: str = ""


def read_metadata(card: str) -> Metadata:
    """What the front matter says; a block that can't be read gives its ``problem`` and nothing else."""
    try:
        facts = front_matter.read(card)
    except Invalid as error:
        return Metadata(problem=f"{error.message} {error.advice}")
    return Metadata(
        licence=_text(facts.get("license_name") if facts.get("license") == "other" else facts.get("license")),
        licence_link=_text(facts.get("license_link")),
        task=_text(facts.get("pipeline_tag")),
        library=_text(facts.get("library_name")),
        tags=_texts(facts.get("tags")),
        languages=_texts(facts.get("language")),
        datasets=_texts(facts.get("datasets")),
        metrics=_texts(facts.get("metrics")),
        base_models=_texts(facts.get("base_model")),
        results=list(_results(facts.get("model-index")))[:MAX_LISTED],
    )


def known_task(metadata: Metadata) -> str:
    """Our word for the hub's pipeline, or the hub's own."""
    return TASKS.get(metadata.task, metadata.task)[:60]


def usable_tags(metadata: Metadata) -> list[str]:
    """Those tags that can be tags here."""
    fine = []
    for tag in metadata.tags:
        try:
            fine += check_tags([tag])
        except Invalid:
            continue
    return sorted(set(fine))[:20]


def export_card(version: ModelVersion) -> str:
    """The card as a README.md for a model hub: its own front matter, and what we know wherever that says nothing."""
    own = front_matter.read(version.card)
    known = {
        "library_name": version.framework,
        "pipeline_tag": version.model.task,
        "tags": list(version.model.tags),
    }
    facts = {**{name: value for name, value in known.items() if value and name not in own}, **own}
    _block, body = front_matter.split(version.card)
    return front_matter.write(facts, body or f"# {version.model.name}\n")


def _results(index: Any) -> Iterator[Result]:
    """The figures of a ``model-index``, whose parts may each be missing or of another kind."""
    for entry in _mappings(index):
        for result in _mappings(entry.get("results")):
            task, dataset = _named(result.get("task"), "type"), _named(result.get("dataset"), "name")
            for metric in _mappings(result.get("metrics")):
                name = _text(metric.get("name")) or _text(metric.get("type"))
                yield Result(name, _text(metric.get("value")), dataset, task)


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    listed = value if isinstance(value, list) else [value]
    return [one for one in listed if isinstance(one, Mapping)]


def _named(value: Any, first: str) -> str:
    """A thing that has a name and a type, by the ``first`` of the two that it has."""
    if not isinstance(value, Mapping):
        return _text(value)
    return _text(value.get(first)) or _text(value.get("name")) or _text(value.get("type"))


def _texts(value: Any) -> list[str]:
    listed = value if isinstance(value, list) else [value]
    return [text for one in listed[:MAX_LISTED] if (text := _text(one))]


def _text(value: Any) -> str:
    return "" if value is None or isinstance(value, dict | list) else str(value).strip()[:MAX_LENGTH]
