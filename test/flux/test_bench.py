"""The arithmetic of bench/flux, and its callers."""

import base64
import json
from functools import partial

import httpx
import pytest

from bench.flux.comparison import Pair, figures
from bench.flux.programs import DrawingWork, ServerAnswer, ask

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n picture").decode()
MOMENTS = {"drawing": [0.0], "decoded": [1.0], "drawn": [1.002], "encoding": [1.003], "encoded": [1.053]}


def pair_of(loop_s=1.0, server_s=1.0, added_s=0.005):
    answered = 1.053 + added_s - 0.003
    return Pair(loop_s, [ServerAnswer(answered - server_s, answered)], MOMENTS)


def test_encoding_is_not_counted_as_added():
    assert pair_of(added_s=0.0125).added_ms == pytest.approx(12.5)


@pytest.mark.parametrize(("loop_s", "are_kept"), [(1.0, True), (0.96, False)])
def test_a_server_that_is_too_much_slower_than_the_loop_exceeds_its_limit(loop_s, are_kept):
    assert all(figure.is_kept for figure in figures({3: [pair_of(loop_s)]})) is are_kept


@pytest.fixture
def serve(monkeypatch):
    """Answers requests with a number of pictures; returns the list of their contents."""

    def answering(status, images):
        asked = []

        def answer(request):
            asked.append(json.loads(request.content))
            return httpx.Response(status, json={"image": PNG, "images": [PNG] * images})

        monkeypatch.setattr(httpx, "Client", partial(httpx.Client, transport=httpx.MockTransport(answer)))
        return asked

    return answering


def test_callers_share_the_work_and_request_no_picture_twice(serve):
    asked = serve(200, images=4)
    assert len(ask("http://here", DrawingWork(12, batch=4), callers=2)) == 3
    assert sorted(request["seed"] for request in asked) == [0, 4, 8]


@pytest.mark.parametrize(("status", "images"), [(503, 2), (200, 1)])
def test_an_answer_without_its_pictures_ends_the_bench(serve, status, images):
    serve(status, images)
    with pytest.raises(SystemExit):
        ask("http://here", DrawingWork(2, batch=2), callers=1)
