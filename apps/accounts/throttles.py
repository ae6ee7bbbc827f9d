"""How many writes one person or key may send to the API in a minute."""

from typing import Any

from django.conf import settings
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from apps.core.limits import take_turn


class WritesPerActor(BaseThrottle):
    seconds = 0

    def allow_request(self, request: Request, view: Any) -> bool:
        if request.method not in SAFE_METHODS:
            actor = request.actor  # type: ignore[attr-defined]
            who = f"{actor.kind}-{actor.id}"
            self.seconds = take_turn("writes", who, settings.SLIPWAY_API_WRITES_PER_MINUTE)
        return not self.seconds

    def wait(self) -> float:
        return self.seconds
