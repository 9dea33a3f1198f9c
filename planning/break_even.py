"""When a GPU of one's own is cheaper than a hosted model."""

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
