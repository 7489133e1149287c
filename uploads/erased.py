"""Keeping erased people out: keyed hashes of what may not come back, and the test that planning asks."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterator, Sequence

from audsync_web.crypto import derived_key
from audsync_web.vendors.connectors.identifiers import KINDS, conversion

from .models_erasing import ErasedHash

Erased = Callable[[Sequence[bytes]], Sequence[bool]]
_Digest = Callable[[bytes], bytes]
HASHES = {"email_sha256": "sha256", "email_md5": "md5"}


def plain_form(kind: str, value: str) -> str:
    """A value as a membership of that kind has it: trimmed, and in lower case where case says nothing."""
    text = value.strip()
    known = KINDS.get(kind)
    return text.lower() if known is not None and known.rule.case == "lower" else text


def forms_of(kind: str, value: str) -> dict[str, str]:
    """An identifier in every kind that follows from it: an e-mail address is also its two hashes."""
    own = plain_form(kind, value)
    forms = {kind: own}
    if kind == "email":
        forms |= {hashed: hashlib.new(name, own.encode()).hexdigest() for hashed, name in HASHES.items()}
    return forms


def keyed_hash(kind: str, value: str | bytes) -> bytes:
    """32 bytes that say nothing about the identifier to anybody without the secret key."""
    data = value.encode() if isinstance(value, str) else value
    return hmac.digest(derived_key("erased"), kind.encode() + b"\0" + data, "sha256")


def erased_test(company_id: int, kind: str, identifier: str) -> Erased | None:
    """Tells which of an upload's own identifiers belong to erased people; None where the company has erased nobody.

    `kind` is what the upload says it holds, `identifier` what the destination is fed with: a value that passes byte for
    byte counts as both.
    """
    kinds = {kind, identifier} if conversion(kind, identifier) == "as_is" else {kind}
    wanted = kinds | set(HASHES) if "email" in kinds else kinds
    rows = ErasedHash.objects.filter(company_id=company_id, kind__in=wanted).values_list("kind", "digest", "given")
    known: dict[str, set[bytes]] = {}
    for name, digest, given in rows:
        # The hashes that follow from an address are met by the address itself; only a person named by one needs more.
        if name in kinds or given:
            known.setdefault(name, set()).add(bytes(digest))
    if not known:
        return None
    tests = list(_tests(known, kinds))
    return lambda values: [any(test(value) for test in tests) for value in values]


def _tests(known: dict[str, set[bytes]], kinds: set[str]) -> Iterator[Callable[[bytes], bool]]:
    key = derived_key("erased")
    for kind, digests in known.items():
        algorithm = HASHES[kind] if kind not in kinds else ""
        yield _test(key, kind, digests, algorithm)


def _test(key: bytes, kind: str, digests: set[bytes], algorithm: str) -> Callable[[bytes], bool]:
    prefix = kind.encode() + b"\0"
    lower = KINDS[kind].rule.case == "lower" if kind in KINDS else False

    def is_erased(value: bytes) -> bool:
        text = value.lower() if lower or algorithm else value
        data = hashlib.new(algorithm, text).hexdigest().encode() if algorithm else text
        return hmac.digest(key, prefix + data, "sha256") in digests

    return is_erased
