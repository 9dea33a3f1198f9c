"""Each promise of ``promises.yaml`` is kept by the chart."""

from pathlib import Path

import jmespath
import pytest
import yaml
from chartkit import AWS

from test.kit.charts import at, merged

PROMISES = yaml.safe_load(Path(__file__).with_name("promises.yaml").read_text(encoding="utf-8"))


def found_of(release, promised):
    kinds = {document["kind"]: document for document in release.all}
    data = {**kinds, "pod": release.pod, "agent": release.agent, "server": release.model_server}
    return {query: jmespath.search(query, data) for query in promised}


@pytest.mark.parametrize(
    ("name", "promised"),
    [
        pytest.param(name, promised, id=f"{name}: {sentence}")
        for name, sentences in PROMISES["releases"].items()
        for sentence, promised in sentences.items()
    ],
)
def test_a_release_keeps_its_promise(releases, name, promised):
    assert found_of(releases[name], promised) == promised


@pytest.mark.parametrize("changes", PROMISES["changes"].values(), ids=PROMISES["changes"])
def test_a_value_does_what_it_promises(helm, changes):
    for each in changes:
        promised = {query: value for query, value in each.items() if query != "set"}
        values = merged(AWS, *(at(path, value) for path, value in each["set"].items()))
        assert found_of(helm.template(values), promised) == promised
