"""The arithmetic of bench/flux, and its callers. Skipped where torch is not installed."""

import base64
import json
from functools import partial

import httpx
import pytest

from bench.flux.comparison import Pair, figures
from bench.flux.programs import DrawingWork, ServerAnswer, ask
from bench.flux.stamps import FILE, _note, read_moments

REASON = "the packages of the group flux are not installed here"
command = pytest.importorskip("bench.flux.__main__", reason=REASON)
roofline = pytest.importorskip("bench.flux.roofline", reason=REASON)

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n picture").decode()
MOMENTS = {"drawing": [0.0], "decoded": [1.0], "drawn": [1.002], "encoding": [1.003], "encoded": [1.053]}


@pytest.mark.parametrize(("peak_tflops", "said"), [(1000.0, ["(20.0%)", "10.000"]), (None, ["(  ?  )", "?"])])
def test_a_share_is_what_a_run_gets_out_of_the_peak_if_that_is_known(peak_tflops, said):
    assert all(one in roofline.row((1.0, 2.0), 100.0, peak_tflops) for one in said)


def test_without_a_gpu_it_says_so_and_fails(monkeypatch):
    monkeypatch.setattr("sys.argv", ["bench.flux", "--gpu"])
    monkeypatch.setattr(roofline.torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match="no GPU"):
        command.main()


def test_moments_are_noted_around_each_call_and_read_from_a_time_on(tmp_path, monkeypatch):
    class Encoder:
        def apply(self, picture):
            return picture * 2

    monkeypatch.setenv(FILE, str(tmp_path / "stamps"))
    _note(Encoder, "apply", "encoding", "encoded")
    assert [Encoder().apply(2), Encoder().apply(3)] == [4, 6]
    moments = read_moments(tmp_path / "stamps", since=0)
    assert [len(moments[kind]) for kind in ("encoding", "encoded")] == [2, 2]
    assert list(read_moments(tmp_path / "stamps", since=moments["encoded"][1])) == ["encoded"]


def pair_of(loop_s=1.0, server_s=1.0, added_s=0.005):
    answered = 1.053 + added_s - 0.003
    return Pair(loop_s, [ServerAnswer(answered - server_s, answered)], MOMENTS)


def test_encoding_is_not_counted_as_added():
    assert pair_of(added_s=0.0125).added_ms == pytest.approx(12.5)


@pytest.mark.parametrize(("loop_s", "are_kept"), [(1.0, True), (0.96, False)])
def test_a_server_slower_than_the_loop_by_more_than_its_limit_is_told(loop_s, are_kept):
    assert all(figure.is_kept for figure in figures({3: [pair_of(loop_s)]})) is are_kept


@pytest.fixture
def serve(monkeypatch):
    """Has requests answered with so many pictures; gives their contents."""

    def answering(status, images):
        asked = []

        def answer(request):
            asked.append(json.loads(request.content))
            return httpx.Response(status, json={"image": PNG, "images": [PNG] * images})

        monkeypatch.setattr(httpx, "Client", partial(httpx.Client, transport=httpx.MockTransport(answer)))
        return asked

    return answering


def test_callers_share_the_work_and_no_picture_is_asked_for_twice(serve):
    asked = serve(200, images=4)
    assert len(ask("http://here", DrawingWork(12, batch=4), callers=2)) == 3
    assert sorted(request["seed"] for request in asked) == [0, 4, 8]


@pytest.mark.parametrize(("status", "images"), [(503, 2), (200, 1)])
def test_an_answer_without_its_pictures_ends_the_bench(serve, status, images):
    serve(status, images)
    with pytest.raises(SystemExit):
        ask("http://here", DrawingWork(2, batch=2), callers=1)
