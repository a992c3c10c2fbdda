"""Redaction: what must not stand in a log, a row or a dead letter is blotted out of any text.

Nothing of ours writes secrets. This is the net under it: libraries put URLs, headers and bodies
into errors and debug lines, and a signed URL carries the credentials it was signed with.
"""

from __future__ import annotations

import re

_BLOT = "***"
_END = r"\s\"'&,;<>\\)}\]"
_VALUE = rf"[^{_END}]+"
_LONG_VALUE = rf"[^{_END}]{{12,}}"
# Between a name and its value, in a header, a query (also one that stands in another), JSON or a
# representation of a dictionary.
_IS = r"[\"'\\]*\s*(?:[=:]|%3[AD])\s*b?[\"'\\]*"
_RULES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), rf"\1{_BLOT}")
    for pattern in (
        # https://docs.stripe.com/keys: secret and restricted keys, also those that Stripe masked.
        rf"\b((?:sk|rk)_(?:live|test)_){_VALUE}",
        rf"\b(whsec_){_VALUE}",
        rf"\b((?:Bearer|Basic)\s+){_LONG_VALUE}",
        # https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
        rf"((?:Security-Token|Credential|Signature){_IS}){_VALUE}",
        rf"((?:secret_?access_?key|session_?token){_IS}){_VALUE}",
        r"\b(AKIA|ASIA)[A-Z0-9]{12,}\b",
        # Session tokens of AWS, wherever they stand; they have hundreds of characters.
        r"\b(IQoJb|FwoGZX|FQoGZX)[A-Za-z0-9+/=%_-]{40,}",
        # https://www.rfc-editor.org/rfc/rfc3986#section-3.2.1: a password in an address.
        r"(://[^\s/:@]*:)[^\s/@]+(?=@)",
    )
)
# A text that no rule finds anything in has none of these. To look for them takes a hundredth of the
# time that the rules take, and most lines of a log end here.
_SIGNS = (
    *("k_live_", "k_test_", "whsec_", "bearer", "basic", "security-token", "credential"),
    *("signature", "access", "session", "akia", "asia", "iqojb", "fwogzx", "fqogzx", "://"),
)


def redacted(text: str) -> str:
    """The text without keys, tokens and signatures."""
    # Beyond ASCII there are letters that a rule takes for one of these, and lower() does not.
    if text.isascii() and not any(map(text.lower().__contains__, _SIGNS)):
        return text
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text


def redacted_in(value: object) -> object:
    """A value with every text in it redacted, however deep; shapes that hold no text stay."""
    match value:
        case str():
            return redacted(value)
        case dict():
            return {key: redacted_in(each) for key, each in value.items()}
        case list():
            return [redacted_in(each) for each in value]
        case tuple():
            return tuple(redacted_in(each) for each in value)
        case BaseException() | bytes():
            return redacted(str(value))
    return value
