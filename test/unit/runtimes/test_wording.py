import pytest

from runtimes._wording import MAX_NAME_CHARS, is_out_of_room, shorten_name


@pytest.mark.parametrize(
    "words",
    [
        "CUDA out of memory. Tried to allocate 2.25 GiB",
        "DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes",
        "Unable to allocate 3.58 GiB for an array with shape (40000, 40000, 3)",
        *("MemoryError: ", "std::bad_alloc", "[Errno 122] Disk quota exceeded"),
        "[Errno 28] No space left on device: '/tmp/x.png'",
    ],
)
def test_memory_or_disk_that_did_not_suffice_is_the_servers_trouble(words):
    assert is_out_of_room(words)


@pytest.mark.parametrize("words", ["shape mismatch", "could not find upscaler named Memory", "BLOOM is no model"])
def test_other_words_are_the_tasks_trouble(words):
    assert not is_out_of_room(words)


def test_a_name_of_any_length_fits_into_a_message():
    assert shorten_name("a.safetensors") == "a.safetensors"
    assert len(shorten_name("x" * 300_000)) == MAX_NAME_CHARS
