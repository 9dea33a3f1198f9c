"""``sd plan``, or ``python -m planning``: the command line."""

import argparse
import math
import os
import re
import signal
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from multiprocessing import Pool
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from configuration.config import Config
from configuration.file import ConfigFileError, load_config
from configuration.warnings import warnings
from planning import report
from planning.advice import Advice, advise, changes, worth_it
from planning.arrivals import Arrivals, Curve, LoadError, read_csv, read_curve, read_lengths, read_per_day
from planning.break_even import HOSTED_USD_PER_IMAGE
from planning.fleet import UnknownPriceError, likely_seconds
from planning.forecast import Givens, PeriodLoad, PlanError, runtime_of
from planning.plan import Plan, make_plan

ROOT = Path(__file__).resolve().parent.parent
USAGE = 2
_NAME = re.compile(r"[A-Za-z][\w-]*")
_EPILOG = """\
loads, each of --runtime, or of the runtime named before it, as in sdruntime:10000:
  sd plan --runtime sdruntime --per-day 10000 --seconds 1.5
  sd plan --runtime sdruntime --rate 00:00=10,08:00=500,18:00=50 --seconds 1.5:80%,30:20%
  sd plan --runtime sdruntime --rate "Mon 08:00=500,Mon 20:00=20,Sat 00:00=5" --spot-interruptions 5%
  sd plan jobs.csv        a line for each job: time, and optionally its seconds and its runtime
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Plan, and return the exit code: 0, or 2 if the configuration or a load cannot be planned."""
    options = _parser().parse_args(arguments)
    try:
        data, config = _configuration(options.config)
        loads = _loads(options, config)
        sys.stderr.writelines(f"{options.config}: {one.pointer} {one.detail}\n" for one in warnings(config))
        given = Givens(spot_per_hour=options.spot_interruptions, usd_per_hour=options.usd_per_hour, seed=options.seed)
        with Console(stderr=True).status("Simulating"):  # shown on a terminal alone
            plan = make_plan(config, loads, given)
        advice = worth_it(_advice(data, config, plan, loads, given)) if options.advice else None
    except (ConfigFileError, LoadError, PlanError) as exc:
        sys.stderr.write(f"{exc}\n")
        return USAGE
    except UnknownPriceError as exc:
        sys.stderr.write(f"{exc.args[0]} (--usd-per-hour)\n")
        return USAGE
    except KeyboardInterrupt:
        return 130
    write = report.document if options.json else report.text
    try:
        sys.stdout.write(write(plan, advice, options.hosted_usd))
        sys.stdout.flush()
    except BrokenPipeError:  # as in `sd plan --json | head -1`; Python still flushes stdout on exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if options.svg is not None:
        options.svg.parent.mkdir(parents=True, exist_ok=True)
        options.svg.write_text(report.picture(plan), encoding="utf-8")
        sys.stderr.write(f"As a picture: {options.svg}\n")
    return 0


def _configuration(path: Path) -> tuple[Mapping[str, Any], Config]:
    """config.yaml as it stands there, and as it is read."""
    try:
        config = load_config(path)
        data: Mapping[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise LoadError(f"{path}: {exc.strerror}; name your configuration with --config") from exc
    return data, config


def _loads(options: argparse.Namespace, config: Config) -> list[PeriodLoad]:
    """The load of each runtime that has one, in the configuration's order.

    Raises:
        LoadError: There is none, or one is wrong.
        PlanError: The runtime that was named is not there, or has no pods.
    """
    names = [one.name for one in config.models_runtime]
    if options.runtime is not None:
        runtime_of(config, options.runtime)
    pods = [one.name for one in config.enabled_runtimes if not one.is_managed]
    default = options.runtime or (pods[0] if len(pods) == 1 else None)
    given: list[tuple[str, Curve | Arrivals, str]] = []
    for option, values, read in (("--rate", options.rate, read_curve), ("--per-day", options.per_day, read_per_day)):
        of_runtimes = (_named(value, names, default) for value in values)
        given += [(name, read(text), f"{option} {text}") for name, text in of_runtimes]
    if options.csv is not None:
        given += [(name, jobs, options.csv.name) for name, jobs in read_csv(options.csv, names, default).items()]
    if not given:
        raise LoadError("What load? Name a CSV file of jobs, --per-day or --rate; sd plan --help has examples.")
    if twice := [name for name, times in Counter(name for name, _, _ in given).items() if times > 1]:
        raise LoadError(f"{', '.join(twice)} has two loads: give it one.")
    lengths = {name: read_lengths(text) for name, text in (_named(one, names, default) for one in options.seconds)}
    if unused := lengths.keys() - {name for name, _, _ in given}:
        raise LoadError(f"{', '.join(sorted(unused))} has seconds, but no load.")
    loads = []
    for name, one, words in sorted(given, key=lambda row: names.index(row[0])):
        is_said = name in lengths or (isinstance(one, Arrivals) and None not in one.seconds)
        seconds = lengths.get(name) or likely_seconds(runtime_of(config, name))
        told = words if is_said else f"{words}; seconds assumed, give yours with --seconds"
        loads.append(PeriodLoad(name, one.load(seconds, options.seed), one.period_s, told))
    if empty := [load.runtime for load in loads if not len(load.load)]:
        raise LoadError(f"The load of {', '.join(empty)} has no job: give it more.")
    return loads


def _named(text: str, names: Sequence[str], default: str | None) -> tuple[str, str]:
    """The runtime of an option's value, and the rest of it."""
    name, colon, rest = text.partition(":")
    if colon and name in names:
        return name, rest
    if colon and _NAME.fullmatch(name):
        raise LoadError(f"There is no runtime {name!r}; there are {', '.join(names)}.")
    if default is None:
        raise LoadError(f"Which runtime has the load {text!r}? Add --runtime, or write {names[0]}:{text}.")
    return default, text


def _advice(
    data: Mapping[str, Any],
    config: Config,
    plan: Plan,
    loads: Sequence[PeriodLoad],
    given: Givens,
) -> Iterator[Advice]:
    """What each change does that is near the configuration."""
    console = Console(stderr=True)
    tried = changes(config, plan)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with (
        # Ctrl-C is this process's: it ends the others.
        Pool(initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN)) as pool,
        Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar,
    ):
        found = pool.imap(partial(advise, data, plan, loads, given), tried)
        for one in bar.track(found, total=len(tried), description="Trying other settings"):
            if one is not None:
                yield one


def _share(text: str) -> float:
    """A share as ``5%`` or ``0.05``."""
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = -1
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share; write 5%")
    return share


def _dollars(text: str) -> float:
    try:
        dollars = float(text)
    except ValueError:
        dollars = 0
    if not 0 < dollars < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no price; write dollars, as 0.003")
    return dollars


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sd plan",
        description="Say what a load would cost, and how long its jobs would wait, before anything is deployed.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("csv", nargs="?", type=Path, metavar="jobs.csv", help="arrivals of jobs; each day is like those in the file")
    add("--rate", action="append", default=[], metavar="CURVE", help="pictures an hour over a day or a week")
    add("--per-day", action="append", default=[], metavar="N", help="pictures a day, at any time alike")
    add("--seconds", action="append", default=[], metavar="MIX",
        help="of a GPU for each job, or lengths with their shares (default: those of the likeliest GPU)")  # fmt: skip
    add("--runtime", metavar="NAME", help="whose load it is, if config.yaml has several")
    add("--config", type=Path, default=ROOT / "config.yaml", metavar="FILE", help="default: the checkout's config.yaml")
    add("--spot-interruptions", type=_share, default=0.0, metavar="SHARE",
        help="of the Spot nodes that EC2 takes back in an hour (default: 0%%)")  # fmt: skip
    add("--usd-per-hour", type=_dollars, metavar="PRICE", help="of a GPU node (default: by its type; Spot's changes)")
    add("--hosted-usd", type=_dollars, default=HOSTED_USD_PER_IMAGE, metavar="PRICE",
        help="of a picture from a hosted API, to compare with (default: %(default)s)")  # fmt: skip
    add("--seed", type=int, default=1, help="of all that is left to chance (default: %(default)s)")
    add("--svg", type=Path, default=ROOT / "out" / "plan.svg", metavar="FILE",
        help="where the picture of queue, pods and nodes goes (default: out/plan.svg in the checkout)")  # fmt: skip
    add("--no-advice", dest="advice", action="store_false", help="do not try other settings")
    add("--json", action="store_true", help="write JSON")
    return parser
