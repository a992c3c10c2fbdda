"""``stripe setup`` and ``stripe check``: the two meters, products and prices."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from worker.commands.opening import open_installation
from worker.commands.printing import AsJson, console, print_json, print_table
from worker.price import CURRENCIES, prices
from worker.stripe_setup.catalogue import catalogue
from worker.stripe_setup.setup import Found, Piece, StripeSetup

if TYPE_CHECKING:
    from worker.price import PriceList
    from worker.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Stripe's meters, products and prices.")

Currency = Annotated[
    Literal["usd", "jpy"] | None,
    typer.Option(help="What is paid in. Default: SIFTBEAM_CURRENCY."),
]
Exact = Annotated[
    bool,
    typer.Option(
        "--exact",
        help="Price storage by the byte, with the 12 decimals that Stripe keeps, instead of by the "
        "GiB begun.",
    ),
]
StoragePrice = Annotated[
    str | None,
    typer.Option(help="Per GiB-month, in dollars or yen. Default: SIFTBEAM_STORAGE_PRICE."),
]
FilePrice = Annotated[
    str | None, typer.Option(help="Per byte, likewise. Default: SIFTBEAM_FILE_PRICE.")
]


@app.command()
def setup(  # noqa: PLR0917 - typer passes its options by keyword
    exact: Exact = False,
    currency: Currency = None,
    storage_price: StoragePrice = None,
    file_price: FilePrice = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be created; create nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Create what is missing, change nothing that exists, and say what differs and why it matters.

    Doing it again creates nothing more.
    """
    wanted = _Wanted(exact, currency, storage_price, file_price)
    differs = _show(wanted, as_json=as_json, create=not dry_run)
    if differs:
        raise typer.Exit(1)


@app.command()
def check(
    exact: Exact = False,
    currency: Currency = None,
    storage_price: StoragePrice = None,
    file_price: FilePrice = None,
    as_json: AsJson = False,
) -> None:
    """Verify that all of it is there and as it should be; exit 1 where something is not."""
    wanted = _Wanted(exact, currency, storage_price, file_price)
    if _show(wanted, as_json=as_json, create=False, missing_is_wrong=True):
        raise typer.Exit(1)


class _Wanted:
    """The options, on top of the settings."""

    def __init__(
        self, exact: bool, currency: str | None, storage_price: str | None, file_price: str | None
    ) -> None:
        self._exact = exact
        self._currency = currency
        self._storage = _amount(storage_price, "--storage-price")
        self._file = _amount(file_price, "--file-price")

    def prices(self, settings: Settings) -> PriceList:
        currency = self._currency or settings.currency
        if currency != settings.currency and (self._storage is None or self._file is None):
            raise typer.BadParameter(
                f"the settings' prices are in {settings.currency}: name --storage-price (per "
                f"GiB-month) and --file-price (per byte) in {currency}",
                param_hint="--currency",
            )
        return prices(
            CURRENCIES[currency],
            per_gib=settings.storage_price if self._storage is None else self._storage,
            per_file_byte=settings.file_price if self._file is None else self._file,
            exact=self._exact or settings.storage_unit == "byte",
        )


def _amount(text: str | None, hint: str) -> Decimal | None:
    if text is None:
        return None
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal(-1)
    if not amount.is_finite() or amount < 0:
        raise typer.BadParameter(f"{text!r} is no amount; write 0.10", param_hint=hint)
    return amount


def _show(wanted: _Wanted, *, as_json: bool, create: bool, missing_is_wrong: bool = False) -> bool:
    """Run it and tell; returns whether a person is needed."""
    installation = open_installation()
    settings = installation.settings
    entries = catalogue(settings, wanted.prices(settings))
    account = installation.stripe.account()
    pieces = list(StripeSetup(installation.stripe, entries, create=create).run())
    where = f"{account.id or 'account unknown'}, {'live' if account.livemode else 'test'} mode"
    if as_json:
        print_json(
            {
                "account": account.id,
                "livemode": account.livemode,
                "pieces": [
                    {
                        "kind": piece.kind,
                        "name": piece.name,
                        "found": piece.found,
                        "id": piece.id,
                        "differences": [
                            {"what": each.what, "why": each.why} for each in piece.differences
                        ],
                    }
                    for piece in pieces
                ],
            }
        )
    else:
        _print(pieces, where, create=create)
    wrong = {Found.DIFFERS, Found.MISSING} if missing_is_wrong or create else {Found.DIFFERS}
    return any(piece.found in wrong for piece in pieces)


def _print(pieces: list[Piece], where: str, *, create: bool) -> None:
    print_table(
        f"Stripe: {where}",
        ("", "name", "id", "found"),
        [(piece.kind, piece.name, piece.id, piece.found) for piece in pieces],
    )
    for piece in pieces:
        for each in piece.differences:
            console.print(f"{piece.kind} {piece.id}: {each.what}.\n  {each.why}", soft_wrap=True)
    missing = sum(1 for piece in pieces if piece.found is Found.MISSING)
    if missing and not create:
        console.print(
            f"{missing} missing: `siftbeam-billing stripe setup` creates them", soft_wrap=True
        )
