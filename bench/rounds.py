"""Rounds: every contender in turn, again and again, so that a slow minute hits them all."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.contender import Contender, Figures, measure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.serving import Server


@dataclass(frozen=True, slots=True)
class Asked:
    """What a bench was asked for.

    Args:
        rounds: how often each contender runs.
        messages: how many messages are measured each time.
        only: names that a contender's must contain one of; none for all.
        json: whether figures are printed for machines.
        plot: the file to draw them into, if any.
        ministack: whether the embedded parts serve, in the stand-in's place.
    """

    rounds: int
    messages: int
    only: tuple[str, ...]
    json: bool
    plot: Path | None
    ministack: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """A contender's figures of every round."""

    contender: Contender
    figures: Sequence[Figures]

    @property
    def median(self) -> Figures:
        """The median of each figure."""
        return Figures(
            cpu_ms=statistics.median(f.cpu_ms for f in self.figures),
            per_second=statistics.median(f.per_second for f in self.figures),
            calls={
                name: statistics.median(f.calls.get(name, 0.0) for f in self.figures)
                for name in sorted({name for f in self.figures for name in f.calls})
            },
            peak_mib=statistics.median(f.peak_mib for f in self.figures),
        )


def arguments(description: str | None, *, rounds: int, messages: int) -> Asked:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=rounds, help="runs of each contender")
    parser.add_argument("--messages", type=int, default=messages, help="messages measured a run")
    parser.add_argument("--only", action="append", default=[], help="a part of a contender's name")
    parser.add_argument("--json", action="store_true", help="for machines")
    parser.add_argument("--plot", type=Path, help="an SVG to draw the processor time into")
    parser.add_argument("--ministack", action="store_true", help="on the embedded AWS and Stripe")
    read = parser.parse_args()
    return Asked(read.rounds, read.messages, tuple(read.only), read.json, read.plot, read.ministack)


def play(
    contenders: Sequence[Contender], stand_in: Server, asked: Asked, *, aloud: bool = True
) -> list[Standing]:
    """Run them in turn; ``aloud`` prints each run. Who cannot run here is left out, and said."""
    chosen = [c for c in contenders if not asked.only or any(part in c.name for part in asked.only)]
    for contender in [c for c in chosen if c.missing is not None]:
        print(f"{contender.name} is left out: {contender.missing} is not here", file=sys.stderr)
        chosen.remove(contender)
    figures: dict[str, list[Figures]] = {contender.name: [] for contender in chosen}
    for number in range(asked.rounds):
        for contender in chosen:
            found = measure(
                contender, stand_in, warm_up=asked.messages // 6, measured=asked.messages
            )
            figures[contender.name].append(found)
            if aloud and not asked.json:
                print(
                    f"round {number + 1}: {contender.name}: {found.cpu_ms:.3f} ms, "
                    f"{sum(found.calls.values()):.2f} calls, {found.per_second:,.0f}/s, "
                    f"{found.peak_mib:.0f} MiB",
                    flush=True,
                )
    return [Standing(contender, figures[contender.name]) for contender in chosen]


def publish(standings: Sequence[Standing], asked: Asked, what: str) -> None:
    """Print the medians, and draw them where that is asked for.

    Args:
        standings: everybody's figures.
        asked: how they are to be shown.
        what: what one message is, for the plot.
    """
    if asked.json:
        found = {s.contender.name: asdict(s.median) for s in standings}
        print(json.dumps(found, indent=2))
    else:
        print("\n| | CPU ms | AWS calls | of them S3 | Stripe calls | a second | peak MiB |")
        print("|---|---:|---:|---:|---:|---:|---:|")
        for standing in standings:
            f = standing.median
            print(
                f"| {standing.contender.name} | {f.cpu_ms:.2f} "
                f"| {f.calls_of('sqs', 'dynamodb', 's3'):.2f} | {f.calls_of('s3'):.2f} "
                f"| {f.calls_of('stripe'):.2f} | {f.per_second:,.0f} | {f.peak_mib:.0f} |"
            )
    if asked.plot is not None:
        _draw(standings, asked.plot, what)


def _draw(standings: Sequence[Standing], file: Path, what: str) -> None:
    # Only who draws needs it.
    from matplotlib.figure import Figure  # noqa: PLC0415

    order = sorted(standings, key=lambda standing: -standing.median.cpu_ms)
    figure = Figure(figsize=(7, 0.6 + 0.4 * len(order)), layout="constrained")
    axes = figure.subplots()
    bars = axes.barh([s.contender.name for s in order], [s.median.cpu_ms for s in order])
    axes.bar_label(bars, fmt="%.2f", padding=3)
    axes.set_xlabel(f"processor milliseconds per {what}")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, format="svg", metadata={"Date": None})
