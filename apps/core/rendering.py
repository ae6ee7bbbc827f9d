"""Answers of the API as JSON, written by orjson: several times quicker than the standard library's writer."""

import json
from collections.abc import Mapping
from typing import Any

import orjson
from rest_framework.renderers import JSONRenderer
from rest_framework.utils.encoders import JSONEncoder

OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z
_encoder = JSONEncoder()


class QuickJSONRenderer(JSONRenderer):
    """DRF's own where an answer is to be indented, or holds what orjson refuses: whole numbers beyond 64 bits."""

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> bytes:
        if data is None:
            return b""
        if self.get_indent(accepted_media_type or "", dict(renderer_context or {})):
            return super().render(data, accepted_media_type, renderer_context)
        try:
            return orjson.dumps(data, default=_encoder.default, option=OPTIONS)
        except orjson.JSONEncodeError:
            return json.dumps(data, cls=JSONEncoder, ensure_ascii=False).encode(errors="replace")
