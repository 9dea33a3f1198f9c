"""What all calls to the jobs table are made of: a read of one item, and writes with a condition."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jobs.dynamodb import CONDITION_FAILED, Answer, Item, JobCommand, Parameters, expressions
from jobs.job import JobChange, JobState
from jobs.schema import key_of

_CONSTANTS: Mapping[str, Any] = {**{state.value: state for state in JobState}, "zero": 0, "one": 1, "true": True}


def get_item(pk: str, read: Callable[[Item | None], Answer]) -> JobCommand[Answer]:
    """Read an item as it is now; ``read`` gets None if there is none."""
    return JobCommand(
        operation="GetItem",
        parameters={"Key": key_of(pk), "ConsistentRead": True},
        read=lambda answer: read(answer.get("Item")),
    )


def conditional(operation: str, parameters: Parameters, *, refusal: str = CONDITION_FAILED) -> JobCommand[JobChange]:
    """Write where a condition holds, and answer with the item as it is then."""
    return JobCommand(
        operation=operation,
        parameters=parameters,
        read=lambda answer: JobChange(done=True, item=answer.get("Attributes")),
        read_refused=lambda item: JobChange(done=False, item=item),
        refusal=refusal,
    )


def update_job(
    job: str, update: str, condition: str, *, is_visible: bool = True, **values: Any
) -> JobCommand[JobChange]:
    """Update a job. ``is_visible`` says whether its caller can see the change. States and constants need no value."""
    if is_visible:
        update = update.replace("SET ", "SET #version = if_not_exists(#version, :zero) + :one, ", 1)
    for name in re.findall(r":(\w+)", f"{update} {condition}"):
        if name in _CONSTANTS:
            values[name] = _CONSTANTS[name]
    texts = {"UpdateExpression": update, "ConditionExpression": condition}
    answers = {"ReturnValues": "ALL_NEW", "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    return conditional("UpdateItem", {"Key": key_of(job), **expressions(texts, **values), **answers})


def then(command: JobCommand[JobChange], meaning: Callable[[JobChange], Answer]) -> JobCommand[Answer]:
    """Give the answer of a command another meaning than a change."""
    refused = command.read_refused
    return JobCommand(
        operation=command.operation,
        parameters=command.parameters,
        read=lambda answer: meaning(command.read(answer)),
        read_refused=None if refused is None else lambda item: meaning(refused(item)),
    )


def setting(values: Iterable[str]) -> list[str]:
    """The parts of an update that set attributes to the values of the same names."""
    return [f"#{name} = :{name}" for name in values]
