"""The secrets of tenants, and what they sign after a rotation."""

import pytest

from courier.secrets import OVERLAP_S, RotationTooSoonError
from test.kit.web import is_signed


def signs(issued, webhook):
    return is_signed(issued.secret, webhook.headers, webhook.body)


def test_for_a_day_after_a_rotation_webhooks_are_signed_with_both_secrets(world):
    old = world.operations.secret("key-1")
    new = world.operations.rotate("key-1")
    began_s = world.now_s
    assert (old.version, new.version, old.previous_until_s) == (1, 2, None)
    assert new.previous_until_s == pytest.approx(began_s + OVERLAP_S, abs=0.01)
    assert world.operations.secret("key-1") == new
    for wait_s, old_signs in ((0, True), (OVERLAP_S - 60, True), (OVERLAP_S + 60, False)):
        world.now_s = began_s + wait_s
        world.ended()
        world.pass_time()
        assert signs(new, world.received[-1])
        assert signs(old, world.received[-1]) is old_signs
    assert world.operations.secret("key-1").previous_until_s is None


def test_a_second_rotation_within_a_day_is_refused_so_that_no_secret_in_use_stops_signing(world):
    new = world.operations.rotate("key-1")
    world.now_s += 3600
    with pytest.raises(RotationTooSoonError) as caught:
        world.operations.rotate("key-1")
    assert caught.value.possible_s == new.previous_until_s
    assert world.operations.secret("key-1") == new
    world.now_s += OVERLAP_S
    assert world.operations.rotate("key-1").version == 3


def test_each_tenant_has_its_own_secret_and_a_rotation_changes_no_other(world):
    world.ended(tenant="key-1")
    world.ended(tenant="key-2")
    world.pass_time()
    first, second = (world.operations.secret(f"key-{number}") for number in (1, 2))
    by_tenant = {webhook.data["job"]: webhook for webhook in world.received}
    signed = [[signs(one, webhook) for one in (first, second)] for webhook in by_tenant.values()]
    assert sorted(signed) == [[False, True], [True, False]]
    world.operations.rotate("key-2")
    assert world.operations.secret("key-1") == first
