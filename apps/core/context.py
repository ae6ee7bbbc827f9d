"""What the frame of every page needs."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest


def frame(request: HttpRequest) -> dict[str, Any]:
    return {
        "actor": getattr(request, "actor", None),
        "csp_nonce": getattr(request, "csp_nonce", ""),
        "gateway_url": settings.SLIPWAY_GATEWAY_URL,
        "languages": settings.LANGUAGES,
    }
