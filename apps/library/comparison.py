"""Two versions side by side, fact by fact. Plain values in, sections of rows out; templates only lay them out."""

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.template.defaultfilters import filesizeformat
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from apps.core.looks import look_of
from apps.library.metadata import Metadata, read_metadata
from apps.library.models import ModelVersion, VersionFile

MAX_LINES = 1000
MAX_WIDTH = 500
CONTEXT = 2
Text = str | Promise


@dataclass(frozen=True)
class Row:
    """One fact of both: as text, empty where a version has no such thing; ``change`` says how far a figure moved."""

    title: Text
    left: str
    right: str
    change: str = ""
    is_name: bool = False  # the title is a name of theirs and no word of ours
    differs: bool = False  # in what is shown shortened

    @property
    def is_different(self) -> bool:
        return self.differs or self.left != self.right


@dataclass(frozen=True)
class Line:
    """A line of a text: ``mark`` is same, gone (left only), come (right only), or gap for what is left out between."""

    mark: str
    text: str


@dataclass(frozen=True)
class Section:
    key: str
    title: Text
    rows: list[Row] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)

    @property
    def is_different(self) -> bool:
        return any(row.is_different for row in self.rows) or any(line.mark in ("gone", "come") for line in self.lines)


def compare(left: ModelVersion, right: ModelVersion) -> list[Section]:
    """Everything there is to compare, section by section; those of which neither version has anything are left out."""
    sections = [
        Section("about", _("Who, when and what"), [*_rows(ABOUT, left, right), _digest(left, right)]),
        Section("signature", _("Signature"), _signature(left, right)),
        Section("profile", _("Size and profile"), _figures(_profile(left), _profile(right))),
        Section("parity", _("Parity of the converted file"), _figures(_parity(left), _parity(right))),
        Section("files", _("Files"), _files(left, right)),
        Section("requirements", _("What it needs to run"), _named(_packages(left), _packages(right))),
        Section("labels", _("Labels"), _named(left.labels, right.labels)),
        Section("classes", _("Class labels"), _classes(left, right)),
        Section("card", _("Model card"), _card(left, right), list(diff(left.card, right.card))),
    ]
    return [section for section in sections if section.rows or section.lines]


def only_differences(sections: Iterable[Section]) -> list[Section]:
    """The rows that differ, and the sections that have any."""
    return [
        Section(section.key, section.title, [row for row in section.rows if row.is_different], section.lines)
        for section in sections
        if section.is_different
    ]


def diff(left: str, right: str) -> Iterator[Line]:
    """Both texts as one, line by line, with what is equal shortened to two lines of context; nothing if all is equal.

    Of very long texts the first thousand lines are compared.
    """
    if left == right:
        return
    a, b = _lines(left), _lines(right)
    for group in difflib.SequenceMatcher(None, a, b).get_grouped_opcodes(CONTEXT):
        if group[0][1] or group[0][3]:
            yield Line("gap", "…")
        for kind, a_start, a_end, b_start, b_end in group:
            if kind == "equal":
                yield from (Line("same", text) for text in a[a_start:a_end])
            else:
                yield from (Line("gone", text) for text in a[a_start:a_end])
                yield from (Line("come", text) for text in b[b_start:b_end])


def _lines(text: str) -> list[str]:
    return [line[:MAX_WIDTH] for line in text.splitlines()[:MAX_LINES]]


ABOUT: tuple[tuple[Callable[[], Text], Callable[[ModelVersion], Any]], ...] = (
    (lambda: _("State"), lambda version: look_of(version.state).word),
    (lambda: _("Framework"), lambda version: f"{version.framework} {version.framework_version}".strip()),
    (lambda: _("Format"), lambda version: version.format),
    (lambda: _("Served as"), lambda version: version.served_format),
    (lambda: _("Safety tier"), lambda version: "" if version.tier is None else version.tier),
    (lambda: _("Uploaded by"), lambda version: version.uploaded_by),
    (lambda: _("When"), lambda version: f"{version.created_at:%Y-%m-%d %H:%M} UTC"),
    (lambda: _("With the key"), lambda version: version.key.name if version.key else ""),
    (lambda: _("Made from"), lambda version: version.parent or ""),
    (lambda: _("What is new"), lambda version: version.description),
)


def _rows(facts: Iterable[Any], left: ModelVersion, right: ModelVersion) -> Iterator[Row]:
    for title, read in facts:
        row = Row(str(title()), str(read(left)), str(read(right)))
        if row.left or row.right:
            yield row


def _digest(left: ModelVersion, right: ModelVersion) -> Row:
    return Row(_("Digest"), left.digest[:12], right.digest[:12], differs=left.digest != right.digest)


def _signature(left: ModelVersion, right: ModelVersion) -> list[Row]:
    return _named(_tensors(left, "inputs", "→ "), _tensors(right, "inputs", "→ ")) + _named(
        _tensors(left, "outputs", "← "), _tensors(right, "outputs", "← ")
    )


def _tensors(version: ModelVersion, side: str, arrow: str) -> dict[str, str]:
    tensors = (version.signature or {}).get(side) or []
    return {arrow + row["name"]: f"{row['datatype']} {_shape(row['shape'])}" for row in tensors}


def _shape(shape: Iterable[int]) -> str:
    return " × ".join("n" if size < 0 else str(size) for size in shape)


def _named(left: Mapping[str, Any], right: Mapping[str, Any]) -> list[Row]:
    """One row for each name that either has, in the order of the left and then of the right."""
    return [Row(name, str(left.get(name, "")), str(right.get(name, "")), is_name=True) for name in {**left, **right}]


def _figures(left: Mapping[str, Any], right: Mapping[str, Any]) -> list[Row]:
    """The same for figures with their units, and how far they moved."""
    return [
        Row(name, _shown(left.get(name)), _shown(right.get(name)), _moved(left.get(name), right.get(name)))
        for name in {**left, **right}
    ]


def _profile(version: ModelVersion) -> dict[str, Any]:
    profile, latency = version.profile or {}, (version.profile or {}).get("latency_ms") or {}
    throughput = (profile.get("throughput") or {}).get("rows_per_second")
    facts = {
        _("Uploaded files"): (version.size, "bytes"),
        _("File that runs"): (profile.get("file_bytes"), "bytes"),
        _("Memory"): (profile.get("memory_bytes"), "bytes"),
        _("Latency, median"): (latency.get("p50"), "ms"),
        _("Latency, p99"): (latency.get("p99"), "ms"),
        _("Latency of 8 rows"): (latency.get("batch_8"), "ms"),
        _("Latency of 32 rows"): (latency.get("batch_32"), "ms"),
        _("Throughput"): (throughput, _("rows/s")),
    }
    return {name: fact for name, fact in facts.items() if isinstance(fact[0], int | float)}


def _parity(version: ModelVersion) -> dict[str, Any]:
    parity = version.parity or {}
    names = {
        _("Largest difference"): "max_abs_diff",
        _("Tolerance"): "tolerance",
        _("Samples"): "samples",
        _("Share of equal labels"): "label_agreement",
    }
    return {name: (parity[key], "") for name, key in names.items() if isinstance(parity.get(key), int | float)}


def _shown(fact: tuple[float, str] | None) -> str:
    if fact is None:
        return ""
    value, unit = fact
    if unit == "bytes":
        return str(filesizeformat(value))
    return f"{value:,.0f} {unit}".strip() if abs(value) >= 1000 else f"{value:.3g} {unit}".strip()


def _moved(left: tuple[float, str] | None, right: tuple[float, str] | None) -> str:
    """“+12 %”; nothing where there is nothing to compare with."""
    if left is None or right is None or not left[0] or left[0] == right[0]:
        return ""
    share = (right[0] - left[0]) / abs(left[0]) * 100
    return f"{share:+.0f} %".replace("-", "−") if abs(share) >= 0.5 else "±0 %"


def _files(left: ModelVersion, right: ModelVersion) -> list[Row]:
    before, after = ({file.name: file for file in version.files.all()} for version in (left, right))
    return [_file(name, before.get(name), after.get(name)) for name in {**before, **after}]


def _file(name: str, left: VersionFile | None, right: VersionFile | None) -> Row:
    before, after = (
        f"{filesizeformat(file.artifact.size)} · {file.artifact_id[:12]}" if file else "" for file in (left, right)
    )
    digests = {file.artifact_id if file else "" for file in (left, right)}
    return Row(name, before, after, is_name=True, differs=len(digests) > 1)


def _packages(version: ModelVersion) -> dict[str, str]:
    """By package its version, out of “name==version”."""
    pairs = [str(requirement).partition("==") for requirement in version.requirements or []]
    return {name: number or _("any version") for name, _equals, number in pairs}


def _classes(left: ModelVersion, right: ModelVersion) -> list[Row]:
    before, after = ([str(label) for label in version.class_labels or []] for version in (left, right))
    if not before and not after:
        return []
    gone, come = [x for x in before if x not in set(after)], [x for x in after if x not in set(before)]
    rows = [Row(_("How many"), str(len(before)), str(len(after)))]
    if before != after:
        rows.append(Row(_("Only here"), _listed(gone) or "–", _listed(come) or "–"))
    if before != after and not gone and not come:
        rows[-1] = Row(_("Order"), _listed(before), _listed(after))
    return rows


def _listed(labels: list[str], limit: int = 12) -> str:
    return ", ".join(labels[:limit]) + (f", … (+{len(labels) - limit})" if len(labels) > limit else "")


def _card(left: ModelVersion, right: ModelVersion) -> list[Row]:
    facts: tuple[tuple[Text, Callable[[Metadata], str]], ...] = (
        (_("Licence"), lambda facts: facts.licence),
        (_("Datasets"), lambda facts: ", ".join(facts.datasets)),
        (_("Languages"), lambda facts: ", ".join(facts.languages)),
        (_("Results"), lambda facts: ", ".join(f"{one.metric} {one.value}" for one in facts.results)),
    )
    before, after = read_metadata(left.card), read_metadata(right.card)
    rows = [Row(title, read(before), read(after)) for title, read in facts]
    return [row for row in rows if row.left or row.right]
