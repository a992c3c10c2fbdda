"""The commands that mend what a check found, as they are pasted into a shell."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    JsonValue = str | int | bool | Sequence["JsonValue"] | Mapping[str, "JsonValue"]


def aws(service: str, operation: str, *options: str) -> str:
    """A call of the AWS CLI."""
    return shlex.join(("aws", service, operation, *options))


def billing(*words: str) -> str:
    """A call of this command line."""
    return shlex.join(("siftbeam-billing", *words))


def make(*words: str) -> str:
    """A target of the Makefile, in a checkout of this project."""
    return shlex.join(("make", *words))


def stripe_post(path: str, fields: Mapping[str, str | int], *, live: bool) -> str:
    """A call of the Stripe CLI (https://docs.stripe.com/cli/post), which asks before it acts."""
    return stripe_call("post", path, fields, live=live)


def stripe_call(verb: str, path: str, fields: Mapping[str, str | int], *, live: bool) -> str:
    """The same of any verb, such as ``get`` (https://docs.stripe.com/cli/get)."""
    data = [word for name, value in fields.items() for word in ("-d", f"{name}={value}")]
    return shlex.join(("stripe", verb, path, *data, *(("--live",) if live else ())))


def setting(name: str, value: str | int) -> str:
    """A setting of ours, for this shell; the worker's own is a parameter of infra/compute.yaml."""
    return f"export SIFTBEAM_{name}={shlex.quote(str(value))}"


def unset(name: str) -> str:
    """The same taken back, so that its default holds."""
    return shlex.join(("unset", f"SIFTBEAM_{name}"))


def as_json(value: JsonValue) -> str:
    """A value as the AWS CLI's options take it."""
    return json.dumps(value)
