"""What makes the GPU ready while a server starts, with the one PyTorch that the tests have."""

import pytest
import torch

from runtimes import warm_up


def test_nothing_is_run_without_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert warm_up.start() is None


def test_the_layers_run_beside_the_servers_own_start(monkeypatch):
    ran = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(warm_up, "run_layers", lambda *how: ran.append(how))
    thread = warm_up.start()
    assert thread.daemon  # a server that ends does not wait for it
    thread.join()
    assert ran == [("cuda", torch.float16)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_they_make_no_modules_which_have_no_weights_while_sdwebui_loads_a_checkpoint(dtype, monkeypatch):
    def without_weights(*_, **__):
        raise AssertionError

    monkeypatch.setattr(torch.nn.Module, "__init__", without_weights)
    warm_up.run_layers("cpu", dtype)
