"""The arithmetic of bench/flux, and its callers. Skipped where torch is not installed."""

import base64
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from bench.agent.timeline import Span
from bench.flux.callers import Answer, CallError, ask
from bench.flux.comparison import Pair, ServerRun, figures
from bench.flux.flops import Shape
from bench.flux.programs import LoopRun
from bench.flux.stamps import Stamp, read_stamps, write_stamp
from bench.flux.work import Work

REASON = "the packages of the group flux are not installed here"
torch = pytest.importorskip("torch", reason=REASON)
command = pytest.importorskip("bench.flux.__main__", reason=REASON)
roofline = pytest.importorskip("bench.flux.roofline", reason=REASON)

SIDE, STEPS, TOKENS = 64, 3, 40
PNG = base64.b64encode(b"\x89PNG picture").decode()
STAMP = Stamp(job="a", began=0.0, decoded=1.0, drawn=1.002, encoding=1.003, encoded=1.053)


@pytest.mark.parametrize("name", ["flux", "flux-schnell"])
@pytest.mark.parametrize("decodes", [False, True])
def test_the_formula_counts_what_torch_counts(name, decodes):
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    from runtimes.flux.standin.tiny import TINY

    pipe = TINY[name]()
    pipe.set_progress_bar_config(disable=True)
    shape = Shape.of(pipe.transformer.config, pipe.vae.config)
    prompt = {"prompt_embeds": torch.zeros(1, TOKENS, 32), "pooled_prompt_embeds": torch.zeros(1, 32)}
    # The counter knows no fused attention on a CPU.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        pipe(**prompt, width=SIDE, height=SIDE, num_inference_steps=STEPS, output_type="pt" if decodes else "latent")
    expected = shape.picture(SIDE, STEPS, TOKENS) if decodes else STEPS * shape.step(SIDE, TOKENS)
    assert counter.get_total_flops() == expected


def test_the_real_shape_has_twelve_billion_parameters_worth_of_layers():
    shape = roofline.real_shape()
    assert (shape.hidden, shape.double_blocks, shape.single_blocks) == (3072, 19, 38)
    assert shape.step(512, 256) == pytest.approx(17.7e12, rel=0.01)


def test_a_step_takes_more_than_four_times_as_much_at_twice_the_side_because_of_attention():
    shape = roofline.real_shape()
    assert shape.step(1024, 0) > 4 * shape.step(512, 0)


def test_a_gpu_whose_peak_is_unknown_has_no_share():
    row = roofline.Case(512, 4, loop=[1.0], server=[2.0]).row(73.0, None)
    assert "%" not in row
    assert "2.000" in row


def test_a_share_is_what_the_median_run_gets_out_of_the_peak():
    row = roofline.Case(512, 4, loop=[1.0], server=[1.0, 2.0, 9.0]).row(100.0, 1000.0)
    assert "2.000 (20.0%)" in row
    assert "10.000" in row


def test_without_a_gpu_it_says_so_and_fails(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["bench.flux", "--gpu"])
    monkeypatch.setattr(roofline.torch.cuda, "is_available", lambda: False)
    assert command.main() == 1
    assert "no GPU" in capsys.readouterr().err


def test_encoding_is_not_counted_as_added():
    assert STAMP.added_s(answered=1.060) == pytest.approx(0.003 + 0.007)


def test_stamps_are_read_as_they_were_written(tmp_path):
    write_stamp(tmp_path / "stamps", STAMP)
    assert read_stamps(tmp_path / "stamps") == {"a": STAMP}


def run_of(seconds: float, added_s: float = 0.005) -> ServerRun:
    answered = STAMP.encoded + added_s - (STAMP.encoding - STAMP.decoded)
    return ServerRun([Answer(job="a", asked=answered - seconds, answered=answered, body=b"")], [STAMP])


def loop_of(seconds: float) -> LoopRun:
    return LoopRun(seconds, (Span(0, seconds),))


def test_throughput_is_held_against_the_loop_before_and_after():
    pair = Pair((loop_of(0.4), loop_of(0.6)), run_of(1.25))
    assert pair.throughput == pytest.approx(0.8)


def test_what_is_added_is_told_in_milliseconds():
    assert run_of(1.0, added_s=0.0125).added_ms == pytest.approx(12.5)


@pytest.mark.parametrize(("half_s", "are_kept"), [(0.5, True), (0.48, False)])
def test_a_server_slower_than_the_loop_by_more_than_its_limit_is_told(half_s, are_kept):
    pair = Pair((loop_of(half_s), loop_of(half_s)), run_of(1.0))
    assert all(figure.is_kept for figure in figures({3: [pair]})) is are_kept


@contextmanager
def answering(status: int, images: int = 1):
    """A server that gives each request so many pictures; gives its port, and the requests' contents."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            body = json.dumps({"image": PNG, "images": [PNG] * images}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port, asked
        finally:
            server.shutdown()
            thread.join()


def test_callers_share_the_work_and_no_picture_is_asked_for_twice():
    with answering(200, images=4) as (port, asked):
        answers = ask(port, Work(12, batch=4), callers=2)
    assert sorted(request["seed"] for request in asked) == [0, 4, 8]
    assert {answer.job for answer in answers} == {request["job_id"] for request in asked}


@pytest.mark.parametrize(("status", "images"), [(503, 1), (200, 0)])
def test_an_answer_without_its_pictures_ends_the_bench(status, images):
    with answering(status, images) as (port, _), pytest.raises(CallError):
        ask(port, Work(2), callers=1)
