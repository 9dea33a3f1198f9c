"""What pydantic finds, in the words that an input's author reads."""

import re
from typing import Annotated, Literal

import pytest
from pydantic import Field, ValidationError

from configuration.config import Config
from contract.field_errors import _models_in, field_errors_of
from contract.models import Form, Section
from contract.task import Metadata, Task
from runtimes.flux.options import ModelOptions
from runtimes.flux.requests import REQUESTS


class Inner(Section):
    """An object of its own keys."""

    first_value: int = 0


class Outer(Section):
    """Unions, patterns and closed keys, as config.yaml and requests have them."""

    items: list[Inner] | dict[str, str] | None = None
    weights: dict[str, float] | list[float] | None = None
    size: str | int | None = None
    quantities: dict[str, str | int | float] | None = None
    text: str = ""
    colour: Annotated[str, Form(r"^#[0-9a-f]{6}$", "a colour, as #ffffff")] = "#ffffff"
    kind: Literal["a", "b", "c"] = "a"
    is_on: bool = False
    count: Annotated[int, Field(ge=1, le=9)] = 1
    share: Annotated[float, Field(gt=0, lt=1)] = 0.5
    inner: Inner = Inner()
    several: Annotated[list[str], Field(min_length=1, max_length=2)] | None = None
    name: Annotated[str, Field(max_length=3)] = "a"


@pytest.mark.parametrize(
    ("given", "sentences"),
    [
        ({"weights": "0.8"}, {'weights must be an object or a list, not "0.8"'}),
        ({"weights": {"a": []}}, {"weights.a must be a number, not a list"}),
        ({"weights": [1, "x"]}, {'weights[1] must be a number, not "x"'}),
        ({"quantities": {"cpu": []}}, {"quantities.cpu must be a string, a whole number or a number, not a list"}),
        ({"items": [{"firstValue": "x"}]}, {'items[0].firstValue must be a whole number, not "x"'}),
        ({"text": 1.2}, {"text must be a string in quotes, not 1.2"}),
        ({"colour": "red"}, {'colour must be a colour, as #ffffff, not "red"'}),
        ({"kind": "d"}, {'kind must be a, b or c, not "d"'}),
        ({"isOn": "true"}, {'isOn must be true or false without quotes, not "true"'}),
        ({"isOn": "x"}, {'isOn must be true or false, not "x"'}),
        ({"count": "3"}, {'count must be a whole number without quotes, not "3"'}),
        ({"count": 2.5}, {"count must be a whole number, not 2.5"}),
        ({"count": 0}, {"count must be at least 1, not 0"}),
        ({"count": 10}, {"count must be at most 9, not 10"}),
        ({"share": 0}, {"share must be above 0, not 0"}),
        ({"share": 1}, {"share must be below 1, not 1"}),
        ({"share": 10**400}, {"share is too large a number: 1" + "0" * 58 + "…"}),
        ({"inner": [1]}, {"inner must be an object, not a list"}),
        ({"several": []}, {"several must have at least 1"}),
        ({"several": ["a", "b", "c"]}, {"several may have at most 2 items"}),
        ({"name": "abcd"}, {"name may have at most 3 characters"}),
        ({"items": [{"firstValu": 1}]}, {"items[0].firstValu is not a known key; did you mean firstValue?"}),
        ({"smallest_share": 1}, {"smallest_share is not a known key; did you mean share?"}),
        (
            {"shar": 1, "COUNT": 2},
            {"shar is not a known key; did you mean share?", "COUNT is not a known key; did you mean count?"},
        ),
        ({"kind": "x" * 1000}, {'kind must be a, b or c, not "' + "x" * 59 + '…"'}),
    ],
)
def test_one_mistake_is_one_fault_in_a_field_that_is_there(given, sentences):
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(given)
    assert {f"{fault.pointer} {fault.detail}" for fault in field_errors_of(caught.value, Outer, given)} == sentences


_INNER_WORDS = re.compile(r"should|valid |validation|Input|pattern|\[str|pydantic|\^")


@pytest.mark.parametrize("value", ["<?>", -1, 10**400, 1.5, True, [], {}, [[]], {"a": []}, [{"a": 1}], "1" * 300])
@pytest.mark.parametrize("model", [Config, *REQUESTS.values(), Metadata, ModelOptions, Task])
def test_no_value_of_any_field_is_refused_in_pydantics_words(model, value):
    """Each field, at any depth, is given values of other kinds. A pattern gets its words by contract.models.Form."""
    for data in _with(model, value):
        try:
            model.model_validate(data)
        except ValidationError as exc:
            for fault in field_errors_of(exc, model, data):
                assert not _INNER_WORDS.search(fault.detail), fault
                assert not re.search(r"\[(?!\d+\])", fault.pointer), fault


def _with(model, value):
    for name, field in model.model_fields.items():
        key = field.alias or name
        yield {key: value}
        for inner in _models_in(field.annotation):
            for data in _with(inner, value):
                yield {key: data}
                yield {key: [data]}
