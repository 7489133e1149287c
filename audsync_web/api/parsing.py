"""How JSON bodies are read."""

from __future__ import annotations

import json
from typing import Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser


class JsonBody(JSONParser):
    """JSON that can also be told and stored: nested within reason, and every character a whole one."""

    def parse(self, *args: Any, **options: Any) -> Any:
        """The value of a body. Raises `ParseError`."""
        try:
            found = super().parse(*args, **options)
            is_whole = _is_whole(found)
        except RecursionError:
            raise ParseError("The body is nested too deeply.") from None
        if not is_whole:
            raise ParseError(f"{_where(found)} holds half a character, a surrogate without the other one.")
        return found


def _is_whole(value: Any) -> bool:
    """Whether no half characters (lone surrogates) are in it: JSON can write them, and no database and no answer."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _where(body: Any) -> str:
    fields = body.items() if isinstance(body, dict) else ()
    return next((f"{name}:" for name, value in fields if _is_whole(name) and not _is_whole(value)), "The body")
