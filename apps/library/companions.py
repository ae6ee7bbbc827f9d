"""Files that come along with a model and say something about it: a card, class labels, an example request.

They are recognised by name, read as plain text within narrow limits, and stay files of the version like any other.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from django.utils.translation import gettext as _

from apps.core.errors import Invalid
from apps.library.store import Store

MAX_BYTES = 1 << 20
MAX_LABELS = 100_000
CARDS = ("readme.md", "model_card.md", "modelcard.md")
LABELS_TEXT, LABELS_JSON = "labels.txt", "labels.json"
EXAMPLE = "example.json"
NAMES = frozenset({*CARDS, LABELS_TEXT, LABELS_JSON, EXAMPLE})


class Named(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def sha256(self) -> str: ...
    @property
    def size(self) -> int: ...


@dataclass
class Companions:
    """What the companions of one version say."""

    card: str = ""
    labels: list[str] = field(default_factory=list)
    example: dict[str, Any] | None = None


def is_companion(name: str) -> bool:
    """Whether a file of this name speaks about the model instead of being part of it."""
    return name.casefold() in NAMES


def read_companions(files: Iterable[Named], store: Store) -> Companions:
    """What the companions among ``files`` say; Invalid names the one that can't be read."""
    found = Companions()
    for file in files:
        name = file.name.casefold()
        if name not in NAMES:
            continue
        text = _text_of(file, store)
        if name in CARDS:
            found.card = text
        elif name == LABELS_TEXT:
            found.labels = _checked_labels(file.name, [line.strip() for line in text.splitlines() if line.strip()])
        elif name == LABELS_JSON:
            found.labels = _checked_labels(file.name, _parsed(file.name, text))
        else:
            found.example = check_example(_parsed(file.name, text))
    return found


def check_example(example: Any) -> dict[str, Any]:
    """An inference request of the Open Inference Protocol: an object with a list of inputs. Invalid otherwise."""
    if isinstance(example, dict) and isinstance(example.get("inputs"), list) and example["inputs"]:
        _check_keepable(example)
        return example
    raise _bad_example(
        _("The example is not an inference request."),
        _("Write it as JSON: {“inputs”: [{“name”: “x”, “shape”: [1, 2], “datatype”: “FP32”, “data”: [5.1, 3.5]}]}"),
    )


def _check_keepable(example: Any) -> None:
    """Databases take neither infinity, nor NUL, nor half a character."""
    try:
        text = json.dumps(example, allow_nan=False, ensure_ascii=False)
        size = len(text.encode())
    except (ValueError, RecursionError) as error:
        raise _bad_example(_("The example holds something that is not JSON."), str(error)) from error
    if "\\u0000" in text or size > MAX_BYTES:
        raise _bad_example(_("The example is too long or holds a NUL character."), _("Keep it below 1 MiB of text."))


def _bad_example(message: str, advice: str) -> Invalid:
    return Invalid(message, advice=advice, errors={"example": [_("An object with a list of inputs is needed.")]})


def _text_of(file: Named, store: Store) -> str:
    if file.size > MAX_BYTES:
        raise Invalid(_("“%(name)s” is longer than 1 MiB.") % {"name": file.name}, advice=_("Shorten it."))
    with store.open(file.sha256) as stream:
        raw = stream.read()
    try:
        return raw.decode("utf-8-sig").replace("\x00", "\N{REPLACEMENT CHARACTER}")
    except UnicodeDecodeError as error:
        raise Invalid(
            _("“%(name)s” is not UTF-8 text.") % {"name": file.name}, advice=_("Save it as UTF-8.")
        ) from error


def _parsed(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Invalid(
            _("“%(name)s” is not valid JSON: %(reason)s") % {"name": name, "reason": error},
            advice=_("Correct it, or leave the file out."),
        ) from error


def _checked_labels(name: str, labels: Any) -> list[str]:
    if isinstance(labels, dict) and labels and all(key.isdecimal() for key in labels):
        labels = [labels[key] for key in sorted(labels, key=int)]  # {"0": "zero", "1": "one"}
    if isinstance(labels, list) and len(labels) <= MAX_LABELS and all(isinstance(x, str | int) for x in labels):
        return [str(label) for label in labels]
    raise Invalid(
        _("“%(name)s” is not a list of labels.") % {"name": name},
        advice=_("Write one label a line (labels.txt), or a JSON list of texts (labels.json), in the model's order."),
    )
