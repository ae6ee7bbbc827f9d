"""Secrets at rest: AES-256-GCM under a data key of their own, which the master key wraps.

The associated data names the row and the field, so a sealed value moved to another row does not open. Old master keys
stay readable while they are listed; sealing always uses the newest one. Format (JSON): ``k`` master key id,
``w`` wrapped data key, ``n`` nonce, ``c`` ciphertext, all but ``k`` base64.
"""

import base64
import hashlib
import json
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings


class SealBroken(Exception):
    """The value does not open here: another row, another key, or changed bytes."""


def seal(plain: str, place: str) -> str:
    """Seal ``plain`` for one place, e.g. ``"targets.Target|7|secrets"``."""
    key_id, master = _newest()
    data_key = AESGCM.generate_key(256)
    wrap_nonce, nonce = os.urandom(12), os.urandom(12)
    wrapped = wrap_nonce + AESGCM(master).encrypt(wrap_nonce, data_key, place.encode())
    cipher = AESGCM(data_key).encrypt(nonce, plain.encode(), place.encode())
    return json.dumps({"k": key_id, "w": _b64(wrapped), "n": _b64(nonce), "c": _b64(cipher)})


def unseal(sealed: str, place: str) -> str:
    """The plain text of a value sealed for ``place``; raises SealBroken."""
    try:
        parts = json.loads(sealed)
        master = _masters()[parts["k"]]
        wrapped, nonce, cipher = (base64.b64decode(parts[name]) for name in "wnc")
        data_key = AESGCM(master).decrypt(wrapped[:12], wrapped[12:], place.encode())
        return AESGCM(data_key).decrypt(nonce, cipher, place.encode()).decode()
    except (InvalidTag, KeyError, ValueError) as error:
        raise SealBroken(place) from error


def seal_again(sealed: str, place: str) -> str:
    """The same secret under the newest master key; the very same text where it is under that one already."""
    if key_id_of(sealed) == _newest()[0]:
        return sealed
    return seal(unseal(sealed, place), place)


def key_id_of(sealed: str) -> str:
    """Which master key a sealed value needs."""
    return str(json.loads(sealed)["k"])


def newest_key_id() -> str:
    return _newest()[0]


def _masters() -> dict[str, bytes]:
    return {hashlib.sha256(key).hexdigest()[:8]: key for key in settings.SLIPWAY_MASTER_KEYS}


def _newest() -> tuple[str, bytes]:
    return next(iter(_masters().items()))


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
