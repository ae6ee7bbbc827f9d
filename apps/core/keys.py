"""API keys: ``slw_live_<8-character id>_<30 base62 secret><6 base62 checksum>``.

The id finds the row, the secret proves it, and the checksum (CRC-32 of everything before it) lets a typing error or a
secret scanner's false alarm be dismissed without asking anybody. Only an HMAC of the secret is ever stored: the
secret is uniformly random (178 bits), so a slow password hash would add nothing but a lever for overload.
"""

import hmac
import re
import secrets
import zlib
from collections.abc import Sequence
from typing import NamedTuple

LIVE = "slw_live"
TEST = "slw_test"
CI = "slw_ci"
PREFIXES = (LIVE, TEST, CI)

ID_LENGTH = 8
SECRET_LENGTH = 30
CHECKSUM_LENGTH = 6

#: What secret scanners may look for; a find whose checksum does not fit is a false alarm.
SCANNER_PATTERN = r"\bslw_(?:live|test|ci)_[0-9A-Za-z]{8}_[0-9A-Za-z]{36}\b"

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PAIRS = tuple(high + low for high in _ALPHABET for low in _ALPHABET)
_SHAPE = re.compile(r"(slw_(?:live|test|ci))_([0-9A-Za-z]{8})_([0-9A-Za-z]{30})([0-9A-Za-z]{6})")
_NOBODY = bytes(32)  # what the secret of an unknown id is compared with: no digest is all zeros


class MintedKey(NamedTuple):
    """A new key. ``text`` is shown once and never kept; ``secret`` is what ``digest`` is made of."""

    key_id: str
    text: str
    secret: str


class ParsedKey(NamedTuple):
    """A key that is well formed, which says nothing yet about whether anybody knows it."""

    prefix: str
    key_id: str
    secret: str


class Digester:
    """Compares under every pepper, for who checks many keys: half the price of ``matches`` for each."""

    def __init__(self, peppers: Sequence[bytes]) -> None:
        self._keyed = [hmac.new(pepper, b"", "sha256") for pepper in peppers]

    def matches(self, secret: str, stored: bytes | None) -> bool:
        known, same = _NOBODY if stored is None else stored, False
        for empty in self._keyed:  # all of them, whichever fits: a clock tells nobody how old a key is
            keyed = empty.copy()
            keyed.update(secret.encode("ascii"))
            same |= hmac.compare_digest(keyed.digest(), known)
        return same and stored is not None


def mint(prefix: str = LIVE) -> MintedKey:
    """A new random key of one of ``PREFIXES``; ValueError for another prefix."""
    if prefix not in PREFIXES:
        raise ValueError(f"unknown key prefix {prefix!r}; use one of {', '.join(PREFIXES)}")
    key_id, secret = _random_text(ID_LENGTH), _random_text(SECRET_LENGTH)
    body = f"{prefix}_{key_id}_{secret}"
    return MintedKey(key_id, body + checksum(body), secret)


def parse(text: str) -> ParsedKey | None:
    """The parts of a well-formed key; None for anything else, including a wrong checksum."""
    found = _SHAPE.fullmatch(text)
    if found is None:
        return None
    prefix, key_id, secret, check = found.groups()
    if checksum(text[:-CHECKSUM_LENGTH]) != check:
        return None
    return ParsedKey(prefix, key_id, secret)


def digest(pepper: bytes, secret: str) -> bytes:
    """HMAC-SHA256 of the secret, 32 bytes: the only form in which a key is stored."""
    return hmac.digest(pepper, secret.encode("ascii"), "sha256")


def matches(peppers: Sequence[bytes], secret: str, stored: bytes | None) -> bool:
    """Whether ``stored`` is the digest of a presented secret under one of the peppers, in constant time.

    ``stored`` is None for an unknown id: the answer is then False after the same work, so that nobody learns from a
    clock which ids exist.
    """
    return Digester(peppers).matches(secret, stored)


def checksum(text: str) -> str:
    """CRC-32 of ``text`` as six base62 characters, most significant first."""
    rest, low = divmod(zlib.crc32(text.encode("ascii")), len(_PAIRS))
    high, middle = divmod(rest, len(_PAIRS))
    return _PAIRS[high] + _PAIRS[middle] + _PAIRS[low]


def _random_text(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
