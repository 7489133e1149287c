"""The kinds of identifier that members can be named by, and what a well-formed value of each looks like.

A rule is a pattern over the whole value, written for RE2 (no look-around, no back-references), so that it can be run
over blocks of millions of values as well as over one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Case = Literal["keep", "lower", "fold"]

MAX_IDENTIFIER_BYTES = 255

UUID_PATTERN = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"


@dataclass(frozen=True)
class IdentifierRule:
    """What a value must look like to be taken: RE2 pattern over the whole value (UTF-8), largest size in bytes, letter
    case to bring it to, and the plain reason shown beside a value that does not fit. `never` are values that do not fit
    although the pattern allows them: so the pattern can stay one about characters, which is quick over millions.

    With the case `fold` a value is sent as it is spelt, and two spellings of it are one member.
    """

    pattern: str
    reason: str
    max_bytes: int = MAX_IDENTIFIER_BYTES
    case: Case = "keep"
    never: tuple[str, ...] = ()

    def brought_to_case(self, value: str) -> str:
        """A value as members hold it."""
        return value.lower() if self.case == "lower" else value

    def accepts(self, value: str) -> bool:
        """Whether one trimmed value fits; the block-wise check must come to the same verdict."""
        if value in self.never or len(value.encode()) > self.max_bytes:
            return False
        return re.fullmatch(self.pattern, value) is not None


@dataclass(frozen=True)
class IdentifierKind:
    """One kind: its key, its label for people, the header spellings that mean it, and its rule."""

    key: str
    label: str
    rule: IdentifierRule
    spellings: tuple[str, ...] = ()


# No control characters, comma or quote: such a value would need CSV quoting, which vendors do not promise to read.
PLAIN = IdentifierRule(
    r'[^\x00-\x1f\x7f",]+', "holds a comma, a quote or a control character, or is longer than 255 bytes"
)
EMAIL = IdentifierRule(
    r'[^<>()\[\]\\.,;:\s@"\x00-\x1f\x7f]+(?:\.[^<>()\[\]\\.,;:\s@"\x00-\x1f\x7f]+)*@(?:[a-zA-Z0-9-]+\.)+[a-zA-Z]{2,}',
    "is not an e-mail address",
    max_bytes=254,
    case="lower",
)
SHA256 = IdentifierRule(r"[0-9a-fA-F]{64}", "is not a SHA-256 in 64 hexadecimal digits", case="lower")
MD5 = IdentifierRule(r"[0-9a-fA-F]{32}", "is not an MD5 in 32 hexadecimal digits", case="lower")
SHA1 = IdentifierRule(r"[0-9a-fA-F]{40}", "is not 40 hexadecimal digits", case="keep")
PHONE = IdentifierRule(
    r"\+?(?:[0-9][0-9 \-()/]{5,19}|\([0-9][0-9 \-()/]{4,18})", "is not a telephone number", max_bytes=21
)
UUID = IdentifierRule(UUID_PATTERN, "is not a UUID (8-4-4-4-12 hexadecimal digits)", case="lower")
DEVICE_UUID = IdentifierRule(UUID_PATTERN, "is not a device id (8-4-4-4-12 hexadecimal digits)")
# 1 to 20 digits, no leading zero; the largest 64-bit number is checked by the pattern's last alternative.
XANDR_ID = IdentifierRule(
    r"[1-9][0-9]{0,18}|1[0-7][0-9]{18}|18[0-3][0-9]{17}|184[0-3][0-9]{16}|1844[0-5][0-9]{15}|18446[0-6][0-9]{14}"
    r"|184467[0-3][0-9]{13}|1844674[0-3][0-9]{12}|184467440[0-6][0-9]{10}|1844674407[0-2][0-9]{9}"
    r"|18446744073[0-6][0-9]{8}|1844674407370[0-8][0-9]{6}|18446744073709[0-4][0-9]{5}|184467440737095[0-4][0-9]{4}"
    r"|18446744073709550[0-9]{3}|18446744073709551[0-5][0-9]{2}|1844674407370955160[0-9]|1844674407370955161[0-5]",
    "is not a Xandr user id (1 to 20 digits, at most 18446744073709551615)",
    max_bytes=20,
)
OPAQUE = IdentifierRule(r"[^\x00-\x1f\x7f]+", "holds a control character or is longer than 255 bytes")

KINDS: dict[str, IdentifierKind] = {
    kind.key: kind
    for kind in (
        IdentifierKind("provider_id", "Provider id", PLAIN, ("provider id", "providerid", "provider-id")),
        IdentifierKind(
            "email", "E-mail address", EMAIL, ("e-mail", "mail", "email address", "e-mail address", "emailaddress")
        ),
        IdentifierKind(
            "email_sha256",
            "E-mail, SHA-256",
            SHA256,
            ("email sha256", "email-sha256", "sha256_email", "hashed_email", "sha256", "email_hash"),
        ),
        IdentifierKind("email_md5", "E-mail, MD5", MD5, ("email md5", "email-md5", "md5_email", "md5")),
        IdentifierKind(
            "phone", "Telephone number", PHONE, ("phone number", "phone_number", "telephone", "mobile", "msisdn")
        ),
        IdentifierKind("custom_id", "Custom id", OPAQUE, ("customid", "custom id", "custom-id", "custom_identify")),
        IdentifierKind("uuid", "UUID", UUID, ("guid",)),
        IdentifierKind(
            "user_account_id", "User account id", OPAQUE, ("user account id", "useraccountid", "account_id")
        ),
        IdentifierKind("user_agent_id", "User agent id", OPAQUE, ("user agent id", "useragentid")),
        IdentifierKind("xandr_id", "Xandr user id", XANDR_ID, ("xandr id", "xandrid", "appnexus_id")),
        IdentifierKind("idfa", "Apple advertising id (IDFA)", DEVICE_UUID, ()),
        IdentifierKind("aaid", "Google advertising id (AAID)", DEVICE_UUID, ("gaid", "adid")),
        IdentifierKind("sha1udid", "SHA-1 UDID", SHA1, ()),
        IdentifierKind("md5udid", "MD5 UDID", IdentifierRule(MD5.pattern, MD5.reason), ()),
        IdentifierKind("openudid", "OpenUDID", SHA1, ()),
        IdentifierKind("windowsadid", "Windows advertising id", OPAQUE, ()),
        IdentifierKind("rida", "Roku advertising id", DEVICE_UUID, ()),
        IdentifierKind("tifa", "Samsung advertising id", OPAQUE, ()),
        IdentifierKind("vida", "Vizio advertising id", OPAQUE, ()),
        IdentifierKind("lgudid", "LG advertising id", OPAQUE, ()),
    )
}

Conversion = Literal["as_is", "sha256", "md5"]

_HASHES: dict[tuple[str, str], Conversion] = {("email", "email_sha256"): "sha256", ("email", "email_md5"): "md5"}


def labels_of(kinds: Iterable[str]) -> str:
    """Some kinds for people, in one line. Labels hold commas, so that a comma would not part them."""
    return "; ".join(KINDS[kind].label for kind in kinds if kind in KINDS)


def kind_of_header(text: str) -> str | None:
    """The identifier kind that a column name means, None when we know none. Case and outer space do not count."""
    name = " ".join(text.strip().lower().split())
    for kind in KINDS.values():
        if name == kind.key or name in kind.spellings:
            return kind.key
    return None


def conversion(file_kind: str, wanted_kind: str) -> Conversion | None:
    """How values of a file's kind become the kind an account is fed with; None when they cannot.

    A file of provider ids is passed byte for byte and read as the account's own kind (design section 7.2).
    """
    if file_kind == wanted_kind or file_kind == "provider_id":
        return "as_is"
    return _HASHES.get((file_kind, wanted_kind))
