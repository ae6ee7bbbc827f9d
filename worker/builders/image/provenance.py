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
        raise refuse(gettext_noop("it is not a DSSE envelope")) from None
    signed = _encoding(payload_type, payload)
    keys = [Ed25519PrivateKey.from_private_bytes(seed).public_key() for seed in seeds]
    if not any(_is_signed(signed, signature, key) for signature in signatures for key in keys):
        raise refuse(gettext_noop("no key of this installation has signed it as it is"))
    if payload_type != PAYLOAD_TYPE:
        raise refuse(gettext_noop("it is not an in-toto statement"))
    statement: Json = json.loads(payload)
    return statement


def key_id(key: Ed25519PublicKey) -> str:
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]


def public_key(seed: bytes) -> str:
    """The public half of a key as PEM, for whoever checks an envelope elsewhere."""
    key = Ed25519PrivateKey.from_private_bytes(seed).public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_bytes(serialization.Encoding.PEM, form).decode()


def refuse(reason: str) -> ToolError:
    words = gettext_noop(
        "The provenance of this image cannot be trusted: %(reason)s. Nothing is started. Build the release again."
    )
    return ToolError(Message(words, {"reason": reason}), kind="provenance_invalid", permanent=True)


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
