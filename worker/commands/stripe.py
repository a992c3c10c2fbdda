"""``stripe setup`` and ``stripe check``: the two meters, products and prices."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from worker.commands.opening import open_installation
from worker.commands.printing import AsJson, console, print_json, print_table
from worker.doctor.shell import billing, stripe_call, stripe_post
from worker.price import CURRENCIES, prices
from worker.stripe_setup.catalogue import catalogue
from worker.stripe_setup.setup import Found, Piece, StripeSetup

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    new_prices: Annotated[
        bool,
        typer.Option(
            "--new-prices",
            help="Where a price differs, create another beside it. Who is subscribed stays with "
            "the old one until moved.",
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be created; create nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Create what is missing, change nothing that exists, and say what differs and why it matters.

    Doing it again creates nothing more.
    """
    wanted = _Wanted(exact, currency, storage_price, file_price)
    differs = _show(wanted, as_json=as_json, create=not dry_run, beside=new_prices)
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
        given = (
            ("--currency", currency),
            ("--storage-price", storage_price),
            ("--file-price", file_price),
        )
        self.words = (
            *(("--exact",) if exact else ()),
            *(word for name, value in given if value is not None for word in (name, value)),
        )

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


def _show(
    wanted: _Wanted,
    *,
    as_json: bool,
    create: bool,
    beside: bool = False,
    missing_is_wrong: bool = False,
) -> bool:
    """Run it and tell; returns whether a person is needed."""
    installation = open_installation()
    settings = installation.settings
    entries = catalogue(settings, wanted.prices(settings))
    account = installation.stripe.account()
    setup = StripeSetup(installation.stripe, entries, create=create, beside=beside)
    pieces = list(setup.run())
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
                        "replaces": piece.replaces,
                    }
                    for piece in pieces
                ],
            }
        )
    else:
        _print(pieces, where, create=create)
        _print_next(pieces, wanted, live=account.livemode)
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


def _print_next(pieces: Sequence[Piece], wanted: _Wanted, *, live: bool) -> None:
    """The commands that lead from a price that differs to the one that is meant."""
    lines: list[str] = []
    if any(piece.kind == "price" and piece.found is Found.DIFFERS for piece in pieces):
        lines += [
            "To create another price beside one that differs:",
            f"    {billing('stripe', 'setup', *wanted.words, '--new-prices')}",
        ]
    for piece in pieces:
        if piece.replaces is None or piece.id is None:
            continue
        lines += [
            f"{piece.id} stands beside {piece.replaces}, whose subscribers pay as before.",
            "List them, move the item of each, and archive the old price when nobody has it:",
            f"    {stripe_call('get', '/v1/subscriptions', {'price': piece.replaces}, live=live)}",
            f"    {stripe_post('/v1/subscription_items/ITEM', {'price': piece.id}, live=live)}",
            f"    {stripe_post(f'/v1/prices/{piece.replaces}', {'active': 'false'}, live=live)}",
        ]
    if any(piece.replaces for piece in pieces):
        lines.append(
            "A subscription of billing mode `classic` is not billed for what was used in its "
            "period before the move; docs/runbooks/wrong-price.md says when to move whom."
        )
    for line in lines:
        console.print(line, soft_wrap=True)
