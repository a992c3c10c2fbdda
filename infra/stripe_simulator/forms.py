"""Form decoding: `payload[value]=1&items[0][price]=price_1`, as Stripe's libraries encode it.

Source: https://docs.stripe.com/api (form-encoded bodies), and the nesting that stripe-python sends.
"""

from typing import Self, TypeAlias
from urllib.parse import unquote_plus

from infra.stripe_simulator.errors import invalid, missing

FormValue: TypeAlias = "str | dict[str, FormValue]"


class Form:
    """Decoded parameters with typed access; complaints name them in form notation."""

    __slots__ = ("_fields", "_prefix")

    def __init__(self, fields: dict[str, FormValue], prefix: str = "") -> None:
        self._fields = fields
        self._prefix = prefix

    @classmethod
    def decode(cls, encoded: bytes) -> Self:
        """Read a query string or a form body. Arrays come as `a[0]`, `a[]` or a plain `a`."""
        fields: dict[str, FormValue] = {}
        if not encoded:
            return cls(fields)
        for pair in encoded.decode("utf-8", "replace").split("&"):
            name, _, value = pair.partition("=")
            name = unquote_plus(name)
            value = unquote_plus(value)
            if "[" not in name:
                if name:
                    fields[name] = value
                continue
            head, *rest = name.replace("]", "").split("[")
            place = fields
            for key, following in zip([head, *rest], rest, strict=False):
                inner = place.setdefault(key or str(len(place)), {})
                if isinstance(inner, str):
                    raise invalid(f"Invalid object at {head}: {following}", head)
                place = inner
            place[rest[-1] or str(len(place))] = value
        return cls(fields)

    def name(self, key: str) -> str:
        """The parameter's name in form notation."""
        return f"{self._prefix}[{key}]" if self._prefix else key

    def only(self, *names: str) -> None:
        """Refuse parameters the endpoint does not know (`expand` is accepted everywhere)."""
        for key in self._fields:
            if key not in names and key != "expand":
                raise invalid(
                    f"Received unknown parameter: {self.name(key)}",
                    self.name(key),
                    "parameter_unknown",
                )

    def text(self, key: str) -> str | None:
        """A string, or None if absent or empty."""
        value = self._fields.get(key)
        if isinstance(value, dict):
            raise invalid("Invalid string: a nested object was given", self.name(key))
        return value or None

    def peek(self, *path: str) -> str | None:
        """A string at a path, or None if anything else is there; never complains."""
        value: FormValue | None = self._fields
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        return value if isinstance(value, str) else None

    def required(self, key: str) -> str:
        """A string that must be there."""
        value = self.text(key)
        if value is None:
            raise missing(self.name(key))
        return value

    def choice(self, key: str, *choices: str) -> str | None:
        """One of `choices`, or None if absent."""
        value = self.text(key)
        if value is not None and value not in choices:
            raise invalid(
                f"Invalid {self.name(key)}: must be one of {', '.join(choices)}", self.name(key)
            )
        return value

    def integer(self, key: str) -> int | None:
        """A whole number, or None if absent."""
        value = self.text(key)
        if value is None:
            return None
        if not value.removeprefix("-").isascii() or not value.removeprefix("-").isdigit():
            raise invalid(f"Invalid integer: {value}", self.name(key), "parameter_invalid_integer")
        return int(value)

    def boolean(self, key: str) -> bool | None:
        """`true` or `false`, or None if absent."""
        value = self.choice(key, "true", "false")
        return None if value is None else value == "true"

    def section(self, key: str) -> "Form":
        """What is nested under `key`; empty if absent."""
        value = self._fields.get(key, {})
        if isinstance(value, str):
            if not value:
                value = {}
            else:
                raise invalid("Invalid object", self.name(key))
        return Form(value, self.name(key))

    def sections(self, key: str) -> "list[Form]":
        """An array of objects."""
        array = self.section(key)
        return [array.section(index) for index in array._fields]

    def texts(self, key: str) -> list[str]:
        """An array of strings; also one plain string, separated by commas."""
        value = self._fields.get(key, {})
        if isinstance(value, str):
            return [part for part in value.split(",") if part]
        array = self.section(key)
        return [array.required(index) for index in array._fields]

    def mapping(self, key: str) -> dict[str, str]:
        """A flat map of strings, such as `metadata` or `payload`."""
        section = self.section(key)
        flat: dict[str, str] = {}
        for name, value in section._fields.items():
            if isinstance(value, dict):
                raise invalid("Invalid string: a nested object was given", section.name(name))
            flat[name] = value
        return flat

    def __contains__(self, key: str) -> bool:
        return key in self._fields
