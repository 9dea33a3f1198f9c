"""When a GPU of one's own is cheaper than a hosted model: ``python -m docs.break_even --usd-per-hour 1.861``."""

import argparse
import sys
from collections.abc import Sequence

from planning.break_even import HOSTED_USD_PER_IMAGE, SECONDS_PER_IMAGE, BreakEven


def main(arguments: Sequence[str] | None = None) -> int:
    """Print from how many images a day on a GPU of one's own is cheaper."""
    parser = argparse.ArgumentParser(
        prog="python -m docs.break_even", description="When a GPU of your own is cheaper than a hosted model."
    )
    parser.add_argument("--usd-per-hour", type=float, required=True, help="of the instance")
    parser.add_argument("--hosted-usd", type=float, default=HOSTED_USD_PER_IMAGE, help="an image (%(default)s)")
    parser.add_argument("--seconds-per-image", type=float, default=SECONDS_PER_IMAGE, help="(%(default)s)")
    parser.add_argument("--usd-per-day", type=float, default=0, help="what else runs all day (%(default)s)")
    one = BreakEven(**vars(parser.parse_args(arguments)))
    sys.stdout.write(
        f"Cheaper from {one.images_per_day:,.0f} images a day, {one.utilisation:.1%} of the "
        f"{one.max_images_per_day:,.0f} that it can draw; at least ${one.min_usd_per_image:.5f} an image.\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
