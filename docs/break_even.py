"""When a GPU of one's own is cheaper than a hosted model: ``python -m docs.break_even --usd-per-hour 1.861``."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass

HOSTED_USD_PER_IMAGE = 0.003
"""Of FLUX.1 [schnell], 333 images for a dollar (https://fal.ai/models/fal-ai/flux/schnell, as of 2025)."""
SECONDS_PER_IMAGE = 0.81
"""Of FLUX.1 [schnell] with 512 x 512 pixels and 4 steps on an L40S, ten requests at once; published with that price."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakEven:
    """A GPU of one's own beside a hosted model."""

    usd_per_hour: float
    hosted_usd: float = HOSTED_USD_PER_IMAGE
    """An image."""
    seconds_per_image: float = SECONDS_PER_IMAGE
    """At full load."""
    usd_per_day: float = 0
    """What else runs all day, whatever the number of images."""

    @property
    def images_per_day(self) -> float:
        """From how many images a day on an instance that runs all day is cheaper."""
        return (self.usd_per_hour * 24 + self.usd_per_day) / self.hosted_usd

    @property
    def max_images_per_day(self) -> float:
        """How many images the instance draws in a day."""
        return 24 * 3600 / self.seconds_per_image

    @property
    def utilisation(self) -> float:
        """Share of the day in which it draws at that number; above 1 it is never cheaper."""
        return self.images_per_day / self.max_images_per_day

    @property
    def min_usd_per_image(self) -> float:
        """What an image costs on an instance that always draws, or runs only while it does."""
        return self.usd_per_hour * self.seconds_per_image / 3600


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
