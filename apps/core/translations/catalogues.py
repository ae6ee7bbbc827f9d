"""The catalogue of one language: kept as text (``django.po``), compiled to what Django loads (``django.mo``).

Entries stand in the order of the source and name their files without lines, so that a change of code is a small
change here. polib comes with the packages of the tests; the product itself only loads what was compiled.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polib

from apps.core.translations.extraction import Text

PLACEHOLDER = re.compile(r"%\((\w+)\)[a-z]|%([sd])|\{(\w+)\}")
WIDTH = 118


@dataclass(frozen=True)
class Report:
    """What a merge found: texts in all, those without a translation, and translations that nothing asks for now."""

    total: int
    missing: tuple[str, ...]
    gone: tuple[str, ...]


def path_of(folder: Path, locale: str) -> Path:
    """The text of the catalogue for a locale such as ``zh_Hans``, in a folder of ``settings.LOCALE_PATHS``."""
    return folder / locale / "LC_MESSAGES" / "django.po"


def load(path: Path) -> polib.POFile:
    return polib.pofile(str(path), wrapwidth=WIDTH)


def merge(path: Path, texts: Mapping[Text, Sequence[str]]) -> Report:
    """Bring the catalogue to exactly these texts, keeping what is translated, and compile it beside itself."""
    old = load(path)
    known = {_key(entry): entry for entry in old}
    fresh = polib.POFile(wrapwidth=WIDTH)
    fresh.header, fresh.metadata = old.header, old.metadata
    for text, places in texts.items():
        fresh.append(_entry(text, places, known.pop(text, None)))
    fresh.save(str(path))
    fresh.save_as_mofile(str(path.with_suffix(".mo")))
    missing = tuple(entry.msgid for entry in fresh if not is_translated(entry))
    return Report(len(fresh), missing, tuple(text.singular for text in known))


def compile_catalogue(path: Path) -> bytes:
    """What the compiled file beside ``path`` must hold, to the byte."""
    return bytes(load(path).to_binary())


def is_translated(entry: polib.POEntry) -> bool:
    return bool(entry.translated()) and all(_translations(entry))


def mismatched_parts(entry: polib.POEntry) -> set[str]:
    """Named parts that stand in the source or in the translation, but not in both."""
    wanted = _parts(entry.msgid_plural or entry.msgid)
    return {part for translation in _translations(entry) for part in wanted ^ _parts(translation)}


def _key(entry: polib.POEntry) -> Text:
    return Text(entry.msgid, plural=entry.msgid_plural or "", context=entry.msgctxt or "")


def _translations(entry: polib.POEntry) -> list[str]:
    return list(entry.msgstr_plural.values()) if entry.msgid_plural else [entry.msgstr]


def _parts(text: str) -> set[str]:
    return {match.group() for match in PLACEHOLDER.finditer(text.replace("%%", ""))}


def _entry(text: Text, places: Sequence[str], old: polib.POEntry | None) -> polib.POEntry:
    fresh = polib.POEntry(
        msgctxt=text.context or None,
        msgid=text.singular,
        msgid_plural=text.plural,
        occurrences=[(place, "") for place in places],
        flags=[flag for flag in (old.flags if old else []) if flag == "fuzzy"],
        tcomment=old.tcomment if old else "",
    )
    if text.plural:
        fresh.msgstr_plural = old.msgstr_plural if old else {0: ""}
    else:
        fresh.msgstr = old.msgstr if old else ""
    return fresh
