"""What can go wrong at a vendor, sorted by what may be done about it.

Three families decide everything: `Transient` is tried again, `Permanent` stops and is shown, `UnknownOutcome` is looked
into before anything is sent again. An exception outside these families is a fault of ours and is never retried.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote, quote_plus

MAX_VENDOR_TEXT = 500
# So much of what was said is looked through for identifiers before it is cut.
MAX_SAID = 20_000


class ConnectorError(Exception):
    """Root of all vendor trouble.

    `code` is a stable word for programs, `text` one plain sentence for people, `next_step` what they can do about it.
    `vendor_text` is what the vendor said (untrusted, cut to 500 characters; escape it on output), `status` the HTTP
    status if there was one, `reference` the vendor's own id of the failure for its support.
    None of them may hold a credential or an identifier of a person.
    """

    default_code = "vendor_error"

    def __init__(
        self,
        text: str,
        *,
        code: str = "",
        next_step: str = "",
        vendor_text: str = "",
        status: int | None = None,
        reference: str = "",
    ) -> None:
        super().__init__(text)
        self.text = text
        self.code = code or self.default_code
        self.next_step = next_step
        self._said = vendor_text[:MAX_SAID]
        self.status = status
        self.reference = reference

    def __str__(self) -> str:
        return self.text

    @property
    def vendor_text(self) -> str:
        """What the vendor said, cut."""
        return self._said[:MAX_VENDOR_TEXT]

    def strike(self, pattern: str) -> None:
        """Keep what matches `pattern` out of what the vendor said, also where the cut would leave a piece of it."""
        self._said = re.sub(pattern, "•••", self._said, flags=re.IGNORECASE)


class Transient(ConnectorError, ConnectionError):
    """Nothing was done at the vendor; the same call may succeed later. `retry_after`: the vendor's wish in seconds."""

    default_code = "vendor_unavailable"

    def __init__(self, text: str, *, retry_after: float | None = None, **context: object) -> None:
        super().__init__(text, **context)  # type: ignore[arg-type]  # the keywords of ConnectorError
        self.retry_after = retry_after


class NotYet(Transient):
    """Our own pacing or a vendor's rule says: later. Never counts as a failed attempt; `retry_after` is always set."""

    default_code = "waiting"


class QuotaExceeded(Transient):
    """The vendor's byte, line or job quota is used up: everything behind `gate` pauses for `retry_after` seconds."""

    default_code = "quota_exceeded"

    def __init__(self, text: str, *, gate: str, retry_after: float, **context: object) -> None:
        super().__init__(text, retry_after=retry_after, **context)
        self.gate = gate


class Permanent(ConnectorError, ValueError):
    """The vendor refused, and would refuse the same call again."""

    default_code = "vendor_refused"


class AuthenticationFailed(Permanent):
    """The credentials are wrong, ended or lack rights: the vendor account needs attention and its jobs pause."""

    default_code = "credentials_rejected"

    @property
    def is_of_one_right(self) -> bool:
        """Whether only a right is missing for this one call: the credentials themselves are accepted."""
        return self.code == "rights_missing"


class RemoteMissing(Permanent):
    """The vendor does not know the segment, job or object that was named, or hides it from us."""

    default_code = "remote_missing"


class TooLarge(Permanent):
    """The body is over the vendor's limit (its 413 or equivalent). `part` rules may cut smaller and try once more.

    `refused_bytes` is the size that the vendor itself refused, where it did: the account's limit lies below it.
    """

    default_code = "too_large"

    def __init__(self, text: str, *, refused_bytes: int | None = None, **context: object) -> None:
        super().__init__(text, **context)  # type: ignore[arg-type]  # the keywords of ConnectorError
        self.refused_bytes = refused_bytes


class NotSupported(Permanent):
    """The connector has no such ability; the pages hide it, and asking anyway is an error."""

    default_code = "not_supported"


class InvalidConfiguration(ValueError):
    """The vendor account's fields are wrong or incomplete. `errors` maps a field name to one clear line."""

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {line}" for name, line in errors.items()))
        self.errors = errors


class UnknownOutcome(ConnectorError):
    """A call with an effect was sent and its answer was lost: it may have been done. Look before sending again."""

    default_code = "outcome_unknown"

    def as_transient(self) -> Transient:
        """The same loss where the call may be made again whatever became of it: a fault to be tried again."""
        return Transient(
            self.text,
            code=self.code,
            next_step=self.next_step,
            vendor_text=self.vendor_text,
            status=self.status,
            reference=self.reference,
        )


def unreadable(who: str, *, effect: bool = False) -> Transient | UnknownOutcome:
    """What a success whose body is not understood means: a read is made again, an effect may have been done."""
    family = UnknownOutcome if effect else Transient
    return family(f"{who} gave an answer that cannot be read.", code="answer_unreadable")


@contextmanager
def not_naming(value: str) -> Iterator[None]:
    """Around a call about a person: keep the identifier out of what the vendor says, also as addresses spell it."""
    try:
        yield
    except ConnectorError as error:
        if value:
            error.strike(_in_any_spelling(value))
        raise


def _in_any_spelling(value: str) -> str:
    forms = ({letter, quote(letter, safe=""), quote_plus(letter)} for letter in value)
    return "".join(f"(?:{'|'.join(re.escape(form) for form in sorted(spelt))})" for spelt in forms)
