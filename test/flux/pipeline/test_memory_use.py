"""How much fits into memory, and what happens if it does not."""

from types import SimpleNamespace
from unittest.mock import Mock, patch

import pytest

from runtimes.flux.server.errors import PipelineMemoryError, PipelineRefusedError

torch = pytest.importorskip("torch", reason="the packages of the group flux are not installed here")

GB = 10**9
MEGAPIXEL = 1024 * 1024


@pytest.fixture
def memory(monkeypatch):
    """The memory of a GPU with 24 GB: the model takes 20 GB, and each picture of a megapixel 2 GB."""
    from runtimes.flux.server.pipeline.memory import DeviceMemory

    taken = SimpleNamespace(pictures=0)

    def draw(count):
        if 20 + 2 * count > 24:
            raise PipelineMemoryError
        taken.pictures = count

    monkeypatch.setattr("torch.cuda.reset_peak_memory_stats", lambda _device: None)
    monkeypatch.setattr("torch.cuda.max_memory_allocated", lambda _device: (20 + 2 * taken.pictures) * GB)
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda _device: (3 * GB, 24 * GB))
    monkeypatch.setattr("torch.cuda.memory_reserved", lambda _device: 21 * GB)
    monkeypatch.setattr("torch.cuda.get_device_properties", lambda _device: SimpleNamespace(total_memory=24 * GB))
    memory = DeviceMemory(SimpleNamespace(is_gpu=True, torch_device=None, release_memory=lambda: None))
    memory.draw = draw
    return memory


@pytest.mark.parametrize(
    ("one", "two", "available", "pictures"),
    [
        (35, 36, 48, 10),  # 34 GB of weights, 1 GB per picture, and 44.2 GB to plan with
        (35, 36, 24, 0),
        (20, 20, 24, 11),  # the text encoder causes the peak, so a second picture adds nothing to it, but might
    ],
)
def test_the_peaks_of_one_and_two_pictures_determine_how_much_fits(one, two, available, pictures):
    from runtimes.flux.server.pipeline.memory import MemoryFootprint

    footprint = MemoryFootprint.of_peaks(one * GB, two * GB, MEGAPIXEL)
    assert footprint.max_pixels(available * GB) // MEGAPIXEL == pictures


def test_memory_is_measured_by_drawing_and_a_size_beyond_the_device_is_refused(memory):
    before = memory.status().max_pictures((512, 512))
    memory.refuse_what_cannot_fit(8192, 8192)
    memory.measure(memory.draw, MEGAPIXEL)

    assert before == 1
    assert [memory.status().max_pictures((side, side)) for side in (512, 1024)] == [4, 1]
    assert memory.status().memory_bytes == 24 * GB
    memory.refuse_what_cannot_fit(2048, 1024)
    with pytest.raises(PipelineRefusedError, match=r"3072 x 1024 pixels takes about 26 GB .* fits has 1024 "):
        memory.refuse_what_cannot_fit(3072, 1024)


def test_if_two_pictures_do_not_fit_one_may_and_if_none_fits_there_is_an_error(memory):
    memory.measure(lambda count: memory.draw(3 if count > 1 else 1), MEGAPIXEL)
    memory.refuse_what_cannot_fit(2048, 1024)
    memory.measure(lambda count: memory.draw(count + 1), MEGAPIXEL)
    assert memory.status().max_pictures((1024, 1024)) == 1
    memory.refuse_what_cannot_fit(1024, 1024)
    with pytest.raises(PipelineRefusedError, match="fits has 1024 pixels a side"):
        memory.refuse_what_cannot_fit(2048, 2048)
    with pytest.raises(PipelineMemoryError):
        memory.measure(lambda count: memory.draw(count + 2), MEGAPIXEL)


def test_a_model_draws_no_picture_that_cannot_fit(pipeline_of, make_request, draw, monkeypatch):
    from runtimes.flux.server.pipeline.memory import DeviceMemory

    monkeypatch.setattr(DeviceMemory, "refuse_what_cannot_fit", Mock(side_effect=PipelineRefusedError("too large")))
    with pytest.raises(PipelineRefusedError, match="too large"):
        draw(pipeline_of("flux"), make_request())


def test_a_model_on_the_cpu_has_room_for_sixteen_megapixels(pipeline_of):
    device = pipeline_of("flux").device()

    assert (device.name, device.memory_bytes, device.peak_bytes) == ("cpu", 0, 0)
    assert device.host_peak_bytes > 50 * 10**6
    assert [device.max_pictures((side, side)) for side in (512, 1024, 8192)] == [64, 16, 1]


@pytest.mark.parametrize("name", ["flux", "flux-fill", "flux-kontext", "sdxl"])
def test_warming_up_draws_one_and_two_pictures(name, pipeline_of):
    from runtimes.flux.server.pipeline import model

    with patch.object(model, "drawn", side_effect=model.drawn) as drawn:
        pipeline_of(name).warm_up()

    requests = [call.args[2] for call in drawn.call_args_list]
    assert [len(request.seeds) for (request,) in requests] == [1, 2]


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has …"), PipelineMemoryError),
        (MemoryError("main memory"), PipelineMemoryError),
        (
            RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
            PipelineMemoryError,
        ),
        (RuntimeError("alloc_cpu.cpp:129] DefaultCPUAllocator: can't allocate memory: you …"), PipelineMemoryError),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), RuntimeError),
    ],
)
def test_running_out_of_memory_differs_from_other_errors_and_the_pipeline_continues(
    error, raised, pipeline_of, make_request, draw
):
    from diffusers import FluxTransformer2DModel

    with pytest.MonkeyPatch.context() as broken:
        broken.setattr(FluxTransformer2DModel, "forward", Mock(side_effect=error))
        with pytest.raises(raised) as caught:
            draw(pipeline_of("flux"), make_request())

    assert caught.value.__context__ is None, "the error that it came from holds tensors"
    assert draw(pipeline_of("flux"), make_request())
