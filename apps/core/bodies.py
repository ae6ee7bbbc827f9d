"""How much a request may bring: refused by what its header announces, before anything of it is read or kept."""

from collections.abc import Callable
from typing import Any, TypeVar

from django.conf import settings
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _

from apps.core.errors import LengthMissing, TooLarge

View = TypeVar("View", bound=Callable[..., Any])


def announced_bytes(request: HttpRequest) -> int:
    """What the request says that its body has; one that says nothing is refused: it would be read as empty."""
    if "Transfer-Encoding" in request.headers and not request.headers.get("Content-Length"):
        raise LengthMissing(_("Send the body with a Content-Length, not in chunks."))
    text = request.headers.get("Content-Length", "")
    return int(text) if text.isascii() and text.isdigit() else 0


def require_size(size: int) -> None:
    """Refuse a body that is larger than any but uploads may be."""
    if size > settings.SLIPWAY_BODY_MAX_BYTES:
        raise TooLarge(
            _("This request has more than the %(limit)s that are taken here.")
            % {"limit": filesizeformat(settings.SLIPWAY_BODY_MAX_BYTES)},
            advice=_("Send large files as a resumable upload."),
        )


def measures_bodies(view: View) -> View:
    """A view that looks at ``announced_bytes`` itself before it reads anything, and may take more."""
    view.measures_bodies = True  # type: ignore[attr-defined]
    return view
