"""How much fits into memory, and what happens where it does not."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from runtimes.flux.server.ports import Order, OutOfMemoryError, Pipeline, RefusedError, Watch

torch = pytest.importorskip("torch", reason="the packages of the group flux are not installed here")

GB = 10**9
MEGAPIXEL = 1024 * 1024


def footprint(one: float, two: float) -> Any:
    from runtimes.flux.server.pipeline.memory import Footprint

    return Footprint.of_peaks(int(one * GB), int(two * GB), MEGAPIXEL)


def test_the_peaks_of_one_and_two_pictures_tell_how_many_fit() -> None:
    """34 GB of weights and 1 GB for each picture: of 48 GB, 44.2 are planned with, which leaves room for ten."""
    assert footprint(35, 36).max_pictures(48 * GB, MEGAPIXEL) == 10


def test_four_small_pictures_take_the_room_of_one_large_one() -> None:
    assert footprint(35, 36).max_pictures(48 * GB, MEGAPIXEL // 4) == 40


def test_one_picture_is_always_tried() -> None:
    assert footprint(35, 36).max_pictures(24 * GB, MEGAPIXEL) == 1


def test_peaks_that_do_not_differ_do_not_allow_any_number() -> None:
    """Where the text encoder takes most, a second picture adds nothing to the peak, but a hundredth might."""
    assert footprint(20, 20).max_pictures(24 * GB, MEGAPIXEL) == 11


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Stands in for a GPU of 24 GB: 20 GB are taken by the model, and 2 GB by each picture of a megapixel."""
    taken = SimpleNamespace(pictures=0)

    def draw(count: int) -> None:
        if 20 + 2 * count > 24:
            raise OutOfMemoryError
        taken.pictures = count

    monkeypatch.setattr("torch.cuda.reset_peak_memory_stats", lambda _device: None)
    monkeypatch.setattr("torch.cuda.max_memory_allocated", lambda _device: (20 + 2 * taken.pictures) * GB)
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda _device: (3 * GB, 24 * GB))
    monkeypatch.setattr("torch.cuda.memory_reserved", lambda _device: 21 * GB)
    return SimpleNamespace(is_gpu=True, device=None, give_back=lambda: None, draw=draw)


def test_memory_is_measured_by_drawing(gpu: Any) -> None:
    from runtimes.flux.server.pipeline.memory import Memory

    memory = Memory(gpu)
    before = memory.max_pictures(512, 512)

    memory.measure(gpu.draw, MEGAPIXEL)

    assert before == 1
    assert (memory.max_pictures(512, 512), memory.max_pictures(1024, 1024)) == (4, 1)


def test_a_size_that_takes_more_than_the_device_has_is_refused_with_one_that_fits(gpu: Any) -> None:
    from runtimes.flux.server.pipeline.memory import Memory

    memory = Memory(gpu)
    memory.refuse_what_cannot_fit(8192, 8192)
    memory.measure(gpu.draw, MEGAPIXEL)

    memory.refuse_what_cannot_fit(2048, 1024)
    with pytest.raises(RefusedError, match=r"3072 x 1024 pixels takes about 26 GB .* are 24 GB; .* fits has 1024 "):
        memory.refuse_what_cannot_fit(3072, 1024)


def test_where_two_pictures_did_not_fit_one_of_their_size_is_tried(gpu: Any) -> None:
    from runtimes.flux.server.pipeline.memory import Memory

    def only_one(count: int) -> None:
        if count > 1:
            raise OutOfMemoryError
        gpu.draw(count)

    memory = Memory(gpu)
    memory.measure(only_one, MEGAPIXEL)

    memory.refuse_what_cannot_fit(2048, 1024)


def test_a_model_draws_no_picture_that_cannot_fit(
    pipeline_of: Callable[..., Pipeline], make_order: Callable[..., Order], draw: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runtimes.flux.server.pipeline.memory import Memory

    def refuse(_: Memory, width: int, height: int) -> None:
        raise RefusedError(f"{width} x {height}")

    order = make_order()
    monkeypatch.setattr(Memory, "refuse_what_cannot_fit", refuse)

    with pytest.raises(RefusedError, match=f"{order.width} x {order.height}"):
        draw(pipeline_of("flux"), order)


def test_a_gpu_that_takes_one_picture_alone_is_warmed_up_all_the_same(gpu: Any) -> None:
    from runtimes.flux.server.pipeline.memory import Memory

    def only_one(count: int) -> None:
        gpu.draw(count + 1)

    memory = Memory(gpu)
    memory.measure(only_one, MEGAPIXEL)

    assert memory.max_pictures(1024, 1024) == 1
    memory.refuse_what_cannot_fit(1024, 1024)
    with pytest.raises(RefusedError, match="fits has 1024 pixels a side"):
        memory.refuse_what_cannot_fit(2048, 2048)


def test_a_gpu_that_takes_not_even_one_is_told(gpu: Any) -> None:
    from runtimes.flux.server.pipeline.memory import Memory

    with pytest.raises(OutOfMemoryError):
        Memory(gpu).measure(lambda count: gpu.draw(count + 2), MEGAPIXEL)


def test_without_a_gpu_a_batch_has_sixteen_megapixels(pipeline_of: Callable[..., Pipeline]) -> None:
    pipeline = pipeline_of("flux")

    assert [pipeline.max_pictures(side, side) for side in (512, 1024, 8192)] == [64, 16, 1]


def test_warming_up_draws_one_and_two_pictures(
    pipeline_of: Callable[..., Pipeline], monkeypatch: pytest.MonkeyPatch
) -> None:
    from runtimes.flux.server.pipeline import model

    counts: list[int] = []
    drawn = model.drawn

    def counted(recipe: Any, pipe: Any, orders: Any, encoded: Any, watch: Watch) -> Any:
        counts.append(len(orders[0].seeds))
        return drawn(recipe, pipe, orders, encoded, watch)

    monkeypatch.setattr(model, "drawn", counted)
    for name in ("flux", "flux-fill", "flux-kontext", "sdxl"):
        pipeline_of(name).warm_up()

    assert counts == [1, 2] * 4


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has …"),
        MemoryError("main memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:129] DefaultCPUAllocator: can't allocate memory: you tried …"),
    ],
)
def test_memory_that_does_not_suffice_is_told_and_the_pipeline_goes_on(
    error: Exception,
    pipeline_of: Callable[..., Pipeline],
    make_order: Callable[..., Order],
    draw: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from diffusers import FluxTransformer2DModel

    def fails(*_: Any, **__: Any) -> None:
        raise error

    with monkeypatch.context() as broken:
        broken.setattr(FluxTransformer2DModel, "forward", fails)
        with pytest.raises(OutOfMemoryError) as told:
            draw(pipeline_of("flux"), make_order())

    assert told.value.__context__ is None, "the error that it came from holds tensors"
    assert draw(pipeline_of("flux"), make_order())


def test_another_error_is_not_taken_for_one_of_memory(
    pipeline_of: Callable[..., Pipeline], make_order: Callable[..., Order], draw: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from diffusers import FluxTransformer2DModel

    def fails(*_: Any, **__: Any) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(FluxTransformer2DModel, "forward", fails)

    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        draw(pipeline_of("flux"), make_order())


def test_a_model_on_the_cpu_says_so(pipeline_of: Callable[..., Pipeline]) -> None:
    device = pipeline_of("flux").device()

    assert (device.name, device.memory_bytes, device.peak_bytes) == ("cpu", 0, 0)
    assert device.host_peak_bytes > 50 * 10**6
