"""Each promise of ``promises.yaml`` is kept by the template."""

import re
from pathlib import Path

import jmespath
import pytest
import yaml
from infrakit.stacks import readable

from contract.queues import DEAD, KEEPER_TIMEOUT_S, RETURNED, TASKS

PROMISES = yaml.safe_load(Path(__file__).with_name("promises.yaml").read_text(encoding="utf-8"))


def promises():
    for stack, kinds in PROMISES.items():
        for kind, sentences in kinds.items():
            for sentence, promised in sentences.items():
                yield pytest.param(stack, kind, promised, id=sentence)


@pytest.mark.parametrize(("name", "kind", "promised"), list(promises()))
def test_the_template_keeps_its_promise(request, name, kind, promised):
    data = [
        {**one, **readable(one.get("Properties", {})), "id": re.sub(r"(?<=.)[0-9A-F]{8}$", "", logical_id)}
        for logical_id, one in request.getfixturevalue(name).of_type(kind).items()
    ]
    assert {query: jmespath.search(query, data) for query in promised} == promised


def test_messages_are_kept_for_longer_the_less_they_are_looked_at():
    assert TASKS.retention_s < RETURNED.retention_s <= DEAD.retention_s
    assert RETURNED.visibility_s >= 6 * KEEPER_TIMEOUT_S  # or a message is delivered again while it is handled
