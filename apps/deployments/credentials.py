"""The secret of a replica: what the gateway, and we ourselves, must show it. Sealed for the replica's own name."""

from apps.core.sealing import seal, unseal


def seal_secret(name: str, secret: str) -> str:
    return seal(secret, place_of(name))


def open_secret(name: str, sealed: str) -> str:
    """The secret in the clear; raises SealBroken for another replica's value or another master key."""
    return unseal(sealed, place_of(name))


def place_of(name: str) -> str:
    return f"deployments.Replica|{name}|secret"
