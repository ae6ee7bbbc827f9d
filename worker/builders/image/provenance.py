"""Who built an image from what: an in-toto statement with SLSA's provenance, in a DSSE envelope signed with Ed25519.

The signature covers the type and the bytes of the payload, which are checked before they are parsed. The key id is a
hint and nothing more: whoever checks tries the keys it has.
Formats: github.com/secure-systems-lab/dsse (protocol.md), in-toto Statement v1, slsa.dev/provenance/v1.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from worker.builders.image.documents import Json, canonical
from worker.errors import ToolError
from worker.specs import Message, gettext_noop

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:slipway:build:image:v1"
_NO_ENVELOPE = gettext_noop(
    "The image has no provenance that could be read: it is not a DSSE envelope. Nothing is started. Propose the version"
    " again."
)
_NOT_OURS = gettext_noop(
    "The provenance of the image is not signed by a key of this installation, or was changed since. Nothing is started."
    " Find out who can write to the database, then propose the version again."
)
_NO_STATEMENT = gettext_noop(
    "What is signed for the image is not an in-toto statement. Nothing is started. Propose the version again."
)


def make_statement(
    *, name: str, digest: str, external: Json, dependencies: Sequence[Json], byproducts: Sequence[Json], times: Json
) -> Json:
    """What is said of one image: ``external`` is what people asked for, ``dependencies`` what went in."""
    return {
        "_type": STATEMENT,
        "subject": [resource(name, digest)],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": external,
                "internalParameters": {},
                "resolvedDependencies": list(dependencies),
            },
            "runDetails": {
                "builder": {"id": "urn:slipway:builder:image"},
                "metadata": times,
                "byproducts": list(byproducts),
            },
        },
    }


def resource(name: str, digest: str) -> Json:
    return {"name": name, "digest": {"sha256": digest.removeprefix("sha256:")}}


def sign(statement: Json, seed: bytes) -> Json:
    """The statement in an envelope, signed with the key of this seed (32 bytes)."""
    key = Ed25519PrivateKey.from_private_bytes(seed)
    payload = canonical(statement)
    signature = key.sign(_encoding(PAYLOAD_TYPE, payload))
    return {
        "payloadType": PAYLOAD_TYPE,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [{"keyid": key_id(key.public_key()), "sig": base64.b64encode(signature).decode()}],
    }


def open_envelope(envelope: Any, seeds: Sequence[bytes]) -> Json:
    """The statement of an envelope that one of our keys signed; ToolError ``provenance_invalid`` (permanent)."""
    try:
        payload_type = str(envelope["payloadType"])
        payload = base64.b64decode(envelope["payload"], validate=True)
        signatures = [base64.b64decode(one["sig"], validate=True) for one in envelope["signatures"]]
    except (KeyError, TypeError, ValueError, binascii.Error):
        raise refuse(_NO_ENVELOPE) from None
    signed = _encoding(payload_type, payload)
    keys = [Ed25519PrivateKey.from_private_bytes(seed).public_key() for seed in seeds]
    if not any(_is_signed(signed, signature, key) for signature in signatures for key in keys):
        raise refuse(_NOT_OURS)
    if payload_type != PAYLOAD_TYPE:
        raise refuse(_NO_STATEMENT)
    statement: Json = json.loads(payload)
    return statement


def key_id(key: Ed25519PublicKey) -> str:
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]


def public_key(seed: bytes) -> str:
    """The public half of a key as PEM, for whoever checks an envelope elsewhere."""
    key = Ed25519PrivateKey.from_private_bytes(seed).public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_bytes(serialization.Encoding.PEM, form).decode()


def refuse(words: str) -> ToolError:
    """The error that keeps an image from being started, in a sentence of its own for each cause."""
    return ToolError(Message(words), kind="provenance_invalid", permanent=True)


def _encoding(payload_type: str, payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _is_signed(data: bytes, signature: bytes, key: Ed25519PublicKey) -> bool:
    try:
        key.verify(signature, data)
    except InvalidSignature:
        return False
    return True
