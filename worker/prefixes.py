"""Where objects lie in the bucket: ``service/input/<customer>/<run>/<file>`` and its twin."""

from __future__ import annotations

from dataclasses import dataclass

TRIGGER = "_trigger.json"
# The name that a run's message carries where no output of it is known.
SWEPT = "_swept"


@dataclass(frozen=True, slots=True)
class RunOutput:
    """An output's key, taken apart: nothing in it is checked yet."""

    customer_id: str
    run_id: str


@dataclass(frozen=True, slots=True)
class Prefixes:
    """The two folders that hold every customer's objects.

    Args:
        uploads: ends with a slash, such as ``service/input/``.
        products: ends with a slash, such as ``service/output/``.
    """

    uploads: str
    products: str

    def uploaded(self, customer_id: str) -> str:
        """A customer's uploads. The final slash keeps ``cus_A`` apart from ``cus_AB``."""
        return f"{self.uploads}{customer_id}/"

    def produced(self, customer_id: str) -> str:
        """A customer's products."""
        return f"{self.products}{customer_id}/"

    def run_uploads(self, customer_id: str, run_id: str) -> str:
        """The uploads of one processing run."""
        return f"{self.uploads}{customer_id}/{run_id}/"

    def run_products(self, customer_id: str, run_id: str) -> str:
        """The products of one processing run."""
        return f"{self.products}{customer_id}/{run_id}/"

    def output(self, key: str) -> RunOutput | None:
        """Whose output a key is; None for a trigger, a folder marker or another place."""
        if not key.startswith(self.products):
            return None
        parts = key[len(self.products) :].split("/", 2)
        if len(parts) < 3 or not is_file(parts[2]):  # noqa: PLR2004 - customer, run, file
            return None
        return RunOutput(parts[0], parts[1])

    def swept(self, customer_id: str, run_id: str) -> str:
        """The key that stands for a run of which no output is known."""
        return f"{self.products}{customer_id}/{run_id}/{SWEPT}"


def is_file(key: str) -> bool:
    """Whether a key names a file that counts: neither a folder marker nor a trigger."""
    name = key.rsplit("/", 1)[-1]
    return name not in {"", TRIGGER}
