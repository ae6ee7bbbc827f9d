"""What can go wrong in the domain, told apart by what the person should do next.

DomainError
├── NotAllowed      403  you may not: ask somebody who may
├── Missing         404  no such thing, or not yours to know of
├── StateConflict   409  too late: somebody was first, or the thing has moved on; look again
├── Invalid         422  what you sent cannot be: change it (``errors`` by field)
├── LengthMissing   411  a body that does not say how long it is
├── TooLarge        413  more bytes than this place takes
├── TooMany         429  too often: wait ``retry_after`` seconds
└── Unavailable     503  not now: something we need is away; try again
    └── NoRoom      507  not now: the disk is full; try again once somebody has made room

One middleware turns them into a page or a fragment, one DRF handler into a problem document.
"""

from collections.abc import Mapping
from typing import Any

from django.utils.functional import Promise

Text = str | Promise


class DomainError(Exception):
    status = 400
    retry_after = 0  # seconds, where waiting helps

    def __init__(self, message: Text, *, advice: Text = "") -> None:
        self.message = message
        self.advice = advice
        super().__init__(message)

    def __str__(self) -> str:
        return str(self.message)


class NotAllowed(DomainError):
    status = 403


class Missing(DomainError):
    status = 404


class StateConflict(DomainError):
    status = 409


class Invalid(DomainError):
    status = 422

    def __init__(self, message: Text, *, advice: Text = "", errors: Mapping[str, Any] | None = None) -> None:
        super().__init__(message, advice=advice)
        self.errors = dict(errors or {})


class LengthMissing(DomainError):
    status = 411


class TooLarge(DomainError):
    status = 413


class TooMany(DomainError):
    status = 429

    def __init__(self, message: Text, *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(DomainError):
    status = 503
    retry_after = 5


class NoRoom(Unavailable):
    status = 507
