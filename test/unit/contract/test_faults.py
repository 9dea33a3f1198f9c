"""What pydantic finds, in the words that an input's author reads."""

from typing import Annotated

import pytest
from pydantic import BaseModel, Field, ValidationError

from contract.faults import faults_of


class Input(BaseModel):
    """Something with bounds."""

    name: Annotated[str, Field(max_length=3)] = "a"
    items: Annotated[list[int], Field(max_length=2)] = []


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"name": "abcd"}, "name may have at most 3 characters"),
        ({"items": [1, 2, 3]}, "items may have at most 2 items"),
        ({"items": [1, "{x}"]}, "items[1] must be a whole number"),
    ],
)
def test_a_bound_is_told_with_its_figure_as_the_rest_of_a_sentence_about_the_field(given, sentence):
    with pytest.raises(ValidationError) as caught:
        Input.model_validate(given)
    (fault,) = faults_of(caught.value)
    assert f"{fault.field} {fault.problem}" == sentence
