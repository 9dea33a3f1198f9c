"""Which orders are larger than all that a worker has drawn."""

from dataclasses import replace

import pytest
from PIL import Image

from runtimes.flux.families import FAMILIES
from runtimes.flux.options import ModelOptions, card_of
from runtimes.flux.server.pipeline.trial import trial_order
from runtimes.flux.server.reach import Reach


@pytest.fixture(params=FAMILIES)
def card(request):
    return card_of(ModelOptions(source="model"), FAMILIES[request.param])


def test_what_warming_up_draws_is_within_reach_and_more_is_not(card):
    reach, warmed = Reach(card), trial_order(card, 1, small=False)
    assert not reach.is_exceeded_by(warmed)
    assert reach.is_exceeded_by(replace(warmed, width=warmed.width + card.row.size_multiple))


def test_images_that_are_given_count_like_the_picture(card):
    warmed = trial_order(card, 1, small=False)
    more = (*warmed.images, Image.new("RGB", (64, 64)))
    assert Reach(card).is_exceeded_by(replace(warmed, images=more))


def test_what_was_drawn_is_within_reach_from_then_on(card):
    reach, warmed = Reach(card), trial_order(card, 1, small=False)
    large = replace(warmed, width=2 * warmed.width)
    reach.note(large)
    assert not reach.is_exceeded_by(large)
    assert f"so far is a picture of {large.width} x {large.height}" in reach.refusal(large, 0)


def test_a_smaller_order_does_not_shorten_the_reach(card):
    reach, warmed = Reach(card), trial_order(card, 1, small=False)
    reach.note(replace(warmed, width=64))
    assert not reach.is_exceeded_by(warmed)
