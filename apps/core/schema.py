"""The API's schema: what drf-spectacular reads from the views, and the header that unsafe calls take."""

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter

_TEXT = "Up to 255 characters of your choice. Sent again with the same body, the call is answered from memory{}."
_SECRETS = ", with null in place of {}: what is shown once is kept nowhere"


class Schema(AutoSchema):
    def get_override_parameters(self) -> list[Any]:
        method = getattr(self.view, self.method.lower(), None)
        if not getattr(method, "is_idempotent", False):
            return []
        secrets = getattr(self.view, "shown_once", ()) if self.method == "POST" else ()
        text = _TEXT.format(_SECRETS.format(", ".join(f"`{name}`" for name in secrets)) if secrets else "")
        return [OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER, description=text)]
