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
            # Half a character (a lone surrogate) can be written in JSON, and by no database and no answer.
            json.dumps(found, ensure_ascii=False).encode()
        except RecursionError:
            raise ParseError("The body is nested too deeply.") from None
        except UnicodeEncodeError:
            raise ParseError("The body holds half a character, a surrogate without the other one.") from None
        return found
