"""Titan through real HTTP; the twin throttles every seventh call."""

import numpy as np
import pytest
from botocore.exceptions import ClientError

from icons.embeddings import BEDROCK_CONFIG, TitanEmbedder


@pytest.fixture
def titan(icons_aws):
    return TitanEmbedder(icons_aws.client("bedrock-runtime", config=BEDROCK_CONFIG))


def test_many_texts_are_embedded_in_their_order_although_some_calls_are_throttled(titan):
    texts = [f"icon {number}" for number in range(40)]
    rows = titan.embed(texts)
    assert rows.shape == (40, 1024)
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-4)
    assert [int(np.argmax(rows @ titan.embed_query(text))) for text in texts] == list(range(40))


def test_a_text_longer_than_titan_takes_is_cut(titan):
    assert titan.embed_query("字" * 60_000).shape == (1024,)


def test_what_titan_refuses_is_an_error(titan):
    with pytest.raises(ClientError, match="Malformed"):
        titan.embed_query("")
