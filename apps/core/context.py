"""What the frame of every page needs."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest

THEMES = ("system", "light", "dark")
THEME_COOKIE = "slipway_theme"


def frame(request: HttpRequest) -> dict[str, Any]:
    """The actor, the reader's theme, the languages, the nonce, and where the gateway is."""
    return {
        "actor": getattr(request, "actor", None),
        "theme": theme_of(request),
        "csp_nonce": getattr(request, "csp_nonce", ""),
        "gateway_url": settings.SLIPWAY_GATEWAY_URL,
        "languages": settings.LANGUAGES,
    }


def theme_of(request: HttpRequest) -> str:
    """The theme saved with the person, else the cookie's, else the system's."""
    user = getattr(request, "user", None)
    chosen = getattr(user, "theme", "") or request.COOKIES.get(THEME_COOKIE, "")
    return chosen if chosen in THEMES else "system"
