"""Whether an order keeps the wish for an early look exactly where the pipeline takes one."""

from types import SimpleNamespace

import pytest

from runtimes.flux.families import FAMILIES
from runtimes.flux.options import ModelOptions, card_of
from runtimes.flux.server.orders import asked_of

torch = pytest.importorskip("torch", reason="the packages of the group flux are not installed here")

KONTEXT = card_of(ModelOptions(profile="flux-kontext"), FAMILIES["flux-kontext"])


def looks(steps: int) -> int:
    """How often the pipeline looks in so many steps."""
    from diffusers import FlowMatchEulerDiscreteScheduler

    from runtimes.flux.server.pipeline.preview import Preview

    seen: list = []
    scheduler = FlowMatchEulerDiscreteScheduler()
    scheduler.set_timesteps(steps)
    pipe = SimpleNamespace(scheduler=scheduler, num_timesteps=steps)
    preview = Preview(seen.append)
    latents = torch.zeros(1, 4)
    for step, timestep in enumerate(scheduler.timesteps):
        latents = scheduler.step(torch.ones_like(latents), timestep, latents).prev_sample
        preview.take(pipe, step, latents)
    return len(seen)


@pytest.mark.parametrize("steps", range(1, 7))
def test_an_early_look_is_promised_where_one_is_taken(picture, steps):
    edit = {"instructions": "make it blue", "image": picture(), "size": 64, "preview": True}
    asked = asked_of({**edit, "num_inference_steps": steps}, "edit", KONTEXT, "job")
    assert asked.order.preview is (looks(steps) == 1)
