"""A whole file that is refused, with a plain sentence that says what is wrong and how to mend it."""

from __future__ import annotations

# The two answers that the vendor page prints word for word (Anonymised UserSync API, membership upload, 400 and 413).
ONE_COLUMN = "invalid CSV header: expected exactly one column"
TOO_LARGE = "file size exceeds maximum allowed size"


class FileRefused(ValueError):
    """The file cannot be taken. `code` is a stable word for programs, `message` a plain sentence without any value."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
