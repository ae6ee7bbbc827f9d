"""Texts as words, for what is indexed and for what is asked. Plain rules."""

import re
import unicodedata
from collections.abc import Iterable
from typing import NamedTuple

MAX_ASKED = 8
MAX_LENGTH = 40
SHORTEST_PART = 2
CHARACTERS = "\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{CHARACTERS}]|[^\W_{CHARACTERS}]+")
_CHARACTER = re.compile(rf"[{CHARACTERS}]")


class Document(NamedTuple):
    """What is found of one model, as words: the columns, from what matters most to what matters least."""

    name: list[str]
    tags: list[str]
    about: list[str]
    card: list[str]
    parts: list[str]  # of names and tags, from any letter on: “xgboost” is found by “boost”
    owner: int


class Asked(NamedTuple):
    """Words that must stand together, the last of which may be a beginning; or the owner is one of these people."""

    text: str  # as it was typed
    words: list[str]
    owners: list[int]

    @property
    def is_beginning(self) -> bool:
        return not _CHARACTER.match(self.words[-1])


def split(text: str, limit: int = 12_000) -> list[str]:
    """At most ``limit`` words, in small letters without accents; “scikit-learn 手写” → scikit, learn, 手, 写."""
    plain = unicodedata.normalize("NFKD", text[: limit * 20])
    bare = "".join(letter for letter in plain if not unicodedata.combining(letter)).casefold()
    return [found[0][:MAX_LENGTH] for found in _WORD.finditer(bare)][:limit]


def ask(text: str) -> list[Asked]:
    """What was typed between blanks, at most eight times; who is meant by it is for the caller to find out."""
    typed = text.replace("\x00", " ").split()[:MAX_ASKED]
    return [Asked(part, words, []) for part in typed if (words := split(part, 20))]


def parts(words: Iterable[str]) -> list[str]:
    """The ends of each word, without the whole."""
    return [word[start:] for word in words for start in range(1, len(word) - SHORTEST_PART + 1)]
