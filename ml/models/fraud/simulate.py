"""Make the fraud model's raw data: `python -m ml.models.fraud.simulate`. The same arguments make the same bytes."""

from __future__ import annotations

import argparse
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from ml.errors import ENVIRONMENT, StageError, did_you_mean
from ml.models.fraud.simulation.shifts import KINDS, Shift
from ml.models.fraud.simulation.table import Plan, write

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT = Plan()
OUT = Path("data/fraud/transactions.parquet")
LIMITS = {"customers": (1, 10_000_000), "terminals": (1, 10_000_000), "days": (1, 5_000), "seed": (0, 2**63 - 1)}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise StageError(f"{message}; see --help")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the table and return the exit code; a failure is one sentence on stderr."""
    try:
        given = _parser().parse_args(arguments)
        rows = write(_plan(given), given.out)
    except StageError as error:
        sys.stderr.write(f"simulate fraud: {error.message}\n")
        return error.exit_code
    except OSError as error:
        reason = error.strerror or str(error)
        sys.stderr.write(f"simulate fraud: {given.out}: {reason}; free disk space or mend the path and run again\n")
        return ENVIRONMENT
    sys.stderr.write(f"{given.out}: {rows:,} transactions\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    kinds = "; ".join(f"{name}: {kind.meaning} ({kind.strength:g})" for name, kind in KINDS.items())
    parser = _Parser(prog="python -m ml.models.fraud.simulate", description=__doc__, allow_abbrev=False)
    parser.add_argument("--out", type=Path, default=OUT, metavar="PATH", help="%(default)s")
    parser.add_argument("--customers", type=int, default=DEFAULT.customers, metavar="N", help="%(default)s")
    parser.add_argument("--terminals", type=int, default=DEFAULT.terminals, metavar="N", help="%(default)s")
    parser.add_argument("--days", type=int, default=DEFAULT.days, metavar="N", help="%(default)s")
    parser.add_argument("--start", type=_date, default=DEFAULT.start, metavar="DATE", help="first day, %(default)s")
    parser.add_argument("--seed", type=int, default=DEFAULT.seed, metavar="N", help="%(default)s")
    parser.add_argument(
        "--shift", action="append", default=[], metavar="KIND", help=f"may be repeated. Strength of each: {kinds}"
    )
    parser.add_argument(
        "--shift-from",
        action="append",
        default=[],
        type=_date,
        metavar="DATE",
        help="the day a --shift starts: one for all, or one for each in the same order",
    )
    parser.add_argument(
        "--shift-strength",
        action="append",
        default=[],
        type=float,
        metavar="X",
        help="left out, or one for each --shift in the same order",
    )
    return parser


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a date like 2018-04-01") from None


def _plan(given: argparse.Namespace) -> Plan:
    for name, (least, most) in LIMITS.items():
        if not least <= (value := getattr(given, name)) <= most:
            raise StageError(f"--{name} is {value}, expected a number from {least} to {most}")
    if not 1970 <= given.start.year <= 2200:
        raise StageError(f"--start is {given.start}, expected a day from 1970-01-01 to 2200-12-31")
    return Plan(given.customers, given.terminals, given.days, given.start, given.seed, _shifts(given))


def _shifts(given: argparse.Namespace) -> tuple[Shift, ...]:
    for kind in given.shift:
        if kind not in KINDS:
            raise StageError(f"--shift {kind} is unknown; {did_you_mean(kind, KINDS)}")
        if given.shift.count(kind) > 1:
            raise StageError(f"--shift {kind} is given more than once; give each kind once")
    count = len(given.shift)
    starts = given.shift_from * count if len(given.shift_from) == 1 and count else given.shift_from
    if len(starts) != count:
        raise StageError(f"{len(starts)} --shift-from for {count} --shift; give one for all of them or one for each")
    strengths = given.shift_strength or [KINDS[kind].strength for kind in given.shift]
    if len(strengths) != count:
        raise StageError(f"{len(strengths)} --shift-strength for {count} --shift; give none or one for each")
    return tuple(_shift(*each, given) for each in zip(given.shift, starts, strengths, strict=True))


def _shift(kind: str, start: date, strength: float, given: argparse.Namespace) -> Shift:
    most = 1.0 if KINDS[kind].share else 1e6
    if not 0 < strength <= most:
        raise StageError(f"--shift-strength of {kind} is {strength:g}, expected a number above 0 and up to {most:g}")
    last = given.start + timedelta(days=given.days - 1)
    if start > last:
        raise StageError(f"--shift-from {start} is after the last day {last}; take an earlier day or more --days")
    return Shift(kind, (start - given.start).days, strength)


if __name__ == "__main__":
    sys.exit(main())
