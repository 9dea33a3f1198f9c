"""A need leads to one job and one icon, whatever happens between two writes."""

import io

import numpy as np
import pytest
from botocore.exceptions import EndpointConnectionError
from PIL import Image

from icons.icon import IconStatus
from icons.intake import OPAQUE
from icons.needs import FAILED_S, FILTERED_S
from icons.resolve import DrawingIcon, FoundIcon, NotDrawnError
from test.integration.icons.conftest import CART


class Dies(BaseException):
    """The process is killed here."""


def drawn(gallery, **changes):
    """A need that was drawn and taken in: the icon."""
    drawing = gallery.resolve(**changes)
    job = gallery.end(drawing.job.id)
    return gallery.resolver.after(drawing.need, job, gallery.artist).icon


@pytest.mark.parametrize("query", ["shopping cart icon", "购物车图标", "Shopping-Cart  ICON!"])
def test_what_the_library_has_is_a_hit_and_no_job(gallery, query):
    found = gallery.resolve(query)
    assert (found.icon, found.was_drawn) == (CART, False)
    gallery.counters.flush()
    assert gallery.counters.read().hits["cart"].hits == 1
    assert gallery.artist.submitted_jobs == []


def test_a_miss_is_drawn_cut_out_stored_and_found_from_then_on(gallery):
    drawing = gallery.resolve("a red balloon")
    assert isinstance(drawing, DrawingIcon)
    assert gallery.artist.submitted_jobs == [drawing.job.id]
    job = gallery.end(drawing.job.id)
    found = gallery.resolver.after(drawing.need, job, gallery.artist)
    icon = found.icon
    assert (found.was_drawn, icon.status, icon.source, icon.tags) == (True, "candidate", "drawn", ())
    assert icon.s3_url == f"s3://out/_icons/drawn/{icon.key}.png"
    pixels = np.array(Image.open(io.BytesIO(gallery.storage.read(f"drawn/{icon.key}.png").body)))
    assert (pixels[0, 0, 3], pixels[32, 32, 3]) == (0, 255)
    assert gallery.storage.read(f"drawn/{icon.key}.svg").body.startswith(b"<svg ")
    again = gallery.another().resolve("Red balloon, a")
    assert (again.icon, again.was_drawn) == (icon, False)
    assert len(gallery.artist.submitted_jobs) == 1


def test_callers_of_the_same_need_share_one_job(gallery):
    first = gallery.resolve("a red balloon")
    others = [gallery.another().resolve(query) for query in ("A red  balloon!", "a RED balloon")]
    assert {one.job.id for one in others} == {first.job.id}
    assert gallery.artist.submitted_jobs == [first.job.id]


@pytest.mark.parametrize("change", [{"tenant": "other"}, {"style": "line"}, {"side": 32}, {"query": "a blue balloon"}])
def test_another_need_has_a_job_of_its_own(gallery, change):
    first = gallery.resolve()
    assert gallery.resolve(**change).job.id != first.job.id


def test_the_same_words_draw_with_the_same_seed_for_every_tenant(gallery):
    seeds = {gallery.need(tenant=tenant, side=side).seed for tenant in ("a", "b") for side in (32, 64)}
    assert len(seeds) == 1
    assert seeds != {gallery.need("something else").seed}


def test_a_drawn_icon_of_another_style_is_no_hit(gallery):
    drawn(gallery, style="flat")
    assert isinstance(gallery.resolve(style="line"), DrawingIcon)
    assert isinstance(gallery.resolve(style=""), FoundIcon)


@pytest.mark.parametrize(("code", "wait_s"), [("content_filtered", FILTERED_S), ("attempts_exhausted", FAILED_S)])
def test_a_job_that_failed_is_not_drawn_again_for_a_while(gallery, code, wait_s):
    drawing = gallery.resolve()
    job = gallery.end(drawing.job.id, code=code, message="No.")
    with pytest.raises(NotDrawnError, match=r"No\."):
        gallery.resolver.after(drawing.need, job, gallery.artist)
    gallery.now_s += wait_s - 1
    with pytest.raises(NotDrawnError) as refused:
        gallery.resolve()
    assert (refused.value.error.code, 0 < refused.value.retry_s < 1.1) == (code, True)
    assert len(gallery.artist.submitted_jobs) == 1
    gallery.now_s += 2
    assert gallery.resolve().job.id != drawing.job.id


def test_a_failure_that_nobody_waited_for_is_found_by_the_next_call(gallery):
    drawing = gallery.resolve()
    gallery.end(drawing.job.id, code="content_filtered", message="No.")
    for _ in range(2):
        with pytest.raises(NotDrawnError):
            gallery.resolve()
    assert len(gallery.artist.submitted_jobs) == 1


def test_a_picture_that_nobody_waited_for_is_taken_in_by_the_next_call(gallery):
    drawing = gallery.resolve()
    gallery.end(drawing.job.id)
    found = gallery.another().resolve()
    assert found.was_drawn
    assert found.icon.key == drawing.need.icon_key


def test_a_result_that_is_no_picture_counts_as_a_failure(gallery):
    drawing = gallery.resolve()
    job = gallery.end(drawing.job.id)
    gallery.artist.pictures[job.id] = b"no picture"
    with pytest.raises(NotDrawnError) as refused:
        gallery.resolver.after(drawing.need, job, gallery.artist)
    assert refused.value.error.code == "no_picture"


def test_a_picture_without_plain_ground_is_taken_in_and_says_so(gallery):
    drawing = gallery.resolve()
    job = gallery.end(drawing.job.id)
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "PNG")
    gallery.artist.pictures[job.id] = file.getvalue()
    assert gallery.resolver.after(drawing.need, job, gallery.artist).icon.tags == (OPAQUE,)


def test_a_near_duplicate_becomes_an_alias_and_its_picture_is_not_kept(gallery):
    one, two = gallery.resolve("a red balloon icon"), gallery.resolve("icon: a red balloon")
    first = gallery.resolver.after(one.need, gallery.end(one.job.id), gallery.artist).icon
    second = gallery.resolver.after(two.need, gallery.end(two.job.id), gallery.artist).icon
    assert (second.key, second.aliases) == (first.key, ("icon: a red balloon",))
    assert gallery.storage.names("drawn/") == [f"drawn/{first.key}.png", f"drawn/{first.key}.svg"]
    assert gallery.search.library.icons.keys() == {"cart", first.key}


def test_an_icon_that_an_operator_deleted_is_drawn_again(gallery):
    icon = drawn(gallery)
    gallery.indexer.delete([icon.key])
    gallery.search.refresh()
    assert isinstance(gallery.resolve(), DrawingIcon)
    assert len(gallery.artist.submitted_jobs) == 2


# What a process that is killed leaves behind


def test_a_need_whose_job_was_never_submitted_is_submitted_under_its_id_by_a_later_call(gallery):
    gallery.artist.failure = Dies()
    with pytest.raises(Dies):
        gallery.resolver.resolve(gallery.need(), gallery.artist)
    gallery.artist.failure = None
    gallery.now_s += 1
    early = gallery.resolve()
    assert gallery.artist.submitted_jobs == []  # it may still be on its way
    gallery.now_s += 6
    late = gallery.resolve()
    assert gallery.artist.submitted_jobs == [late.job.id] == [early.job.id]


def test_aws_failing_at_the_submission_leaves_the_need_to_be_submitted_again(gallery):
    gallery.artist.failure = EndpointConnectionError(endpoint_url="https://sns")
    with pytest.raises(EndpointConnectionError):
        gallery.resolve()
    gallery.artist.failure = None
    named = gallery.resolve().job.id
    gallery.now_s += 6
    assert gallery.resolve().job.id == named
    assert gallery.artist.submitted_jobs == [named]


def test_a_submission_that_was_rejected_leaves_the_need_to_whoever_asks_next(gallery):
    gallery.artist.failure = RuntimeError("over budget")
    with pytest.raises(RuntimeError):
        gallery.resolve()
    gallery.artist.failure = None
    assert gallery.resolve().job.id in gallery.artist.submitted_jobs


def test_a_job_that_is_gone_for_good_is_replaced(gallery):
    first = gallery.resolve()
    gallery.table.dynamodb.delete_item(TableName=gallery.table.store.table, Key={"pk": {"S": first.job.id}})
    gallery.now_s += 3601
    assert gallery.resolve().job.id != first.job.id


@pytest.mark.parametrize("write", range(5))
def test_a_call_that_dies_while_it_takes_a_picture_in_is_mended_by_the_next_one(gallery, write, monkeypatch):
    """The writes are PNG, SVG, the vectors, the library, and the need's own record."""
    drawing = gallery.resolve()
    job = gallery.end(drawing.job.id)
    dying = gallery.another()
    writes = iter(range(5))

    def counted(call):
        def wrapped(*arguments, **options):
            if next(writes) == write:
                raise Dies
            return call(*arguments, **options)

        return wrapped

    monkeypatch.setattr(dying.storage, "write", counted(dying.storage.write))
    monkeypatch.setattr(dying.table.store, "run", counted(dying.table.store.run))
    with pytest.raises(Dies):
        dying.resolver.after(drawing.need, job, dying.artist)
    monkeypatch.undo()
    found = gallery.another().resolve()
    assert found.icon.key == drawing.need.icon_key
    assert gallery.storage.read(f"drawn/{found.icon.key}.png").body
    gallery.search.refresh()
    assert gallery.search.search("a red balloon").accepted.icon == found.icon
    assert gallery.search.search("a red balloon").accepted.similarity > 0.9
    assert len(gallery.artist.submitted_jobs) == 1


def test_two_callers_that_take_the_same_picture_in_make_one_icon(gallery):
    drawing = gallery.resolve()
    job = gallery.end(drawing.job.id)
    icons = {each.resolver.after(drawing.need, job, each.artist).icon for each in (gallery, gallery.another())}
    assert len(icons) == 1
    gallery.search.refresh()
    assert len(gallery.search.library.icons) == 2


def test_an_icon_that_an_operator_has_changed_is_kept_when_a_late_caller_comes(gallery):
    drawing = gallery.resolve()
    job = gallery.end(drawing.job.id)
    icon = gallery.resolver.after(drawing.need, job, gallery.artist).icon
    changed = icon.model_copy(update={"description": "quite another thing", "status": IconStatus.PUBLISHED})
    gallery.indexer.put([changed])
    assert gallery.another().resolver.after(drawing.need, job, gallery.artist).icon == changed


def test_asking_while_it_is_drawn_counts_once_and_each_later_refusal_counts(gallery):
    drawing = gallery.resolve()
    for _ in range(3):
        gallery.resolve()
    (need,) = gallery.counters.read().needs
    assert (need.asked, need.need.query, need.category) == (1, "a red balloon", "shop")
    gallery.end(drawing.job.id, code="content_filtered", message="No.")
    for _ in range(3):
        with pytest.raises(NotDrawnError):
            gallery.resolve()
    (need,) = gallery.counters.read().needs
    assert (need.asked, need.error.code) == (3, "content_filtered")
