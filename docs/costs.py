"""What a month costs on AWS, line by line, idle first: ``python -m docs.costs --profile lean --images 1000000``."""

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from configuration.config import Config, parse_config
from configuration.file import ConfigFileError, load_config
from configuration.profiles import PROFILES
from docs import tables
from planning.bill import Line, Usage, beyond, bill, idle, total
from planning.fleet import UnknownPriceError
from planning.prices import PRICES

MILLION = 1_000_000
_EXAMPLE = Path(__file__).parent.parent / "examples" / "configs" / "minimal.yaml"
_CALLS = PRICES["gateway"].usd + 2 * PRICES["lambda requests"].usd
"""Of a million: API Gateway, and two functions of Lambda, the authorizer and the API."""


def config_of(profile: str) -> Config:
    """A deployment with one runtime, of a profile, and else all defaults."""
    return parse_config({**yaml.safe_load(_EXAMPLE.read_text(encoding="utf-8")), "profile": profile})


def following(seconds: float) -> dict[str, float]:
    """What it costs in dollars to learn of the ends of a million jobs, each of which takes so many seconds."""
    memory, reads, writes = (PRICES[name].usd for name in ("lambda", "reads", "writes"))
    memory *= MILLION
    return {
        "notices (SNS, SQS)": 0.0,
        "a webhook": 2 * PRICES["sqs"].usd + PRICES["lambda requests"].usd + 0.3 * 0.5 * memory + 2 * writes,
        "`GET /v1/jobs/JOB` every 2 s": seconds / 2 * (_CALLS + 0.05 * memory + reads),
        "`?wait=20`, or `Prefer: wait=20`": seconds / 20 * _CALLS + seconds * (memory + 1.4 * reads),
        "`GET /v1/jobs/JOB/events`": _CALLS + seconds * (0.5 * memory + 2 * reads),
        "either of the two from `python -m api.asgi`": seconds / 0.25 * 0.5 * reads,
    }


def table(lines: Sequence[Line]) -> str:
    """Write lines of a bill as a table in Markdown, with their sum."""
    rows = []
    for line in lines:
        price = f"{line.usd_per_unit:.10f}".rstrip("0").rstrip(".")
        rows.append((line.service, line.unit, line.how, f"{line.quantity:,.2f}", price, f"{line.usd:.2f}"))
    head = ("Service", "Counted by", "How many", "Quantity", "Price, $", "$")
    return tables.table(head, [*rows, ("**Sum**", "", "", "", "", f"**{total(lines):.2f}**")])


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what a month costs."""
    parser = argparse.ArgumentParser(prog="python -m docs.costs", description="What a month costs, in dollars.")
    whose = parser.add_mutually_exclusive_group()
    whose.add_argument("--profile", choices=list(PROFILES), default="lean", help="one runtime, and its defaults (lean)")
    whose.add_argument("--config", type=Path, metavar="FILE", help="your config.yaml")
    parser.add_argument("--images", type=_count, default=MILLION, help="pictures (%(default)s)")
    parser.add_argument("--seconds", type=_positive, default=1.5, help="of a GPU for each (%(default)s)")
    parser.add_argument("--node-starts", type=_count, default=300, help="of GPU nodes (%(default)s)")
    parser.add_argument("--usd-per-hour", type=_positive, help="of a GPU node (Spot, by the table of docs/costs.md)")
    options = parser.parse_args(arguments)
    try:
        config = load_config(options.config) if options.config else config_of(options.profile)
        at_rest = idle(config, options.usd_per_hour)
        usage = Usage.of_images(
            config,
            options.images,
            seconds_per_image=options.seconds,
            node_starts=options.node_starts if options.images else 0,
            usd_per_hour=options.usd_per_hour,
        )
        whole = bill(config, usage)
    except OSError as exc:
        parser.error(f"{exc.filename}: {exc.strerror}")
    except ConfigFileError as exc:
        parser.error(str(exc))
    except UnknownPriceError as exc:
        parser.error(f"{exc.args[0]} (--usd-per-hour)")
    sys.stdout.write(f"Idle, a month:\n\n{table(at_rest)}\n")
    if options.images:
        drawn, together = beyond(whole, at_rest), total(whole)
        sys.stdout.write(f"{options.images:,} pictures of {options.seconds:g} s add:\n\n{table(drawn)}\n")
        sys.stdout.write(f"Together: ${together:.2f} a month, ${together / options.images:.6f} a picture\n")
        if not usage.gpu_hours:
            sys.stdout.write("Without what draws them: no runtime has GPU nodes of this project's chart.\n")
    return 0


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0")
    return int(text)


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return number


if __name__ == "__main__":
    sys.exit(main())
