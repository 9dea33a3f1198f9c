"""DynamoDB's notation: typed values, expressions with names and values, and calls with the meaning of their answers."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

AWS_ERRORS = (BotoCoreError, ClientError, ResponseParserError)
"""What a call raises if AWS refuses it, does not answer, or answers what cannot be read."""
CONDITION_FAILED = "ConditionalCheckFailedException"
TRANSACTION_CANCELLED = "TransactionCanceledException"

Value = Mapping[str, Any]
Item = Mapping[str, Value]
"""An item in the format of DynamoDB's API: every value under the letter of its type."""
Parameters = dict[str, Any]
"""Parameters of one call to DynamoDB."""
Answer = TypeVar("Answer")


def write_value(value: str | float | bool | bytes) -> Value:
    """Write a text, number, truth value or bytes; times keep milliseconds."""
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int | float):
        return {"N": f"{value:.3f}" if isinstance(value, float) else str(value)}
    if isinstance(value, bytes):
        return {"B": value}
    return {"S": str(value)}


def write_item(values: Mapping[str, str | float | bool | bytes]) -> Item:
    """Write an item."""
    return {name: write_value(value) for name, value in values.items()}


def read_values(item: Item) -> dict[str, Any]:
    """Read an item's values; numbers become floats."""
    return {
        name: float(content) if kind == "N" else content
        for name, value in item.items()
        for kind, content in value.items()
    }


def expressions(texts: Mapping[str, str], **values: Any) -> Parameters:
    """Expressions with the names and values they mention: ``#name`` is an attribute, ``:name`` a value.

    Every attribute has an alias, because many plain words are reserved.
    """
    names = sorted(set(re.findall(r"#(\w+)", " ".join(texts.values()))))
    parameters: Parameters = {**texts, "ExpressionAttributeNames": {f"#{name}": name for name in names}}
    if values:
        parameters["ExpressionAttributeValues"] = {f":{name}": write_value(value) for name, value in values.items()}
    return parameters


def error_code(error: Exception) -> str:
    """AWS's own code of an error; "" if AWS has not answered."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def error_name(error: Exception) -> str:
    """What a log says of an error: AWS's own code, or the error's type if AWS has not answered."""
    return error_code(error) or type(error).__name__


@dataclass(frozen=True, slots=True, kw_only=True)
class JobCommand(Generic[Answer]):
    """One call to DynamoDB, such as UpdateItem, and what its answer means."""

    operation: str
    parameters: Parameters
    """Its parameters, without the table's name."""
    read: Callable[[Mapping[str, Any]], Answer]
    """Reads the answer."""
    read_refused: Callable[[Item | None], Answer] | None = None
    """Reads the item that did not meet the condition, or None if there is none; None for a call without condition."""
    refusal: str = CONDITION_FAILED
    """AWS's code for a failed condition."""

    def parameters_for(self, table: str) -> Parameters:
        """The parameters with a table's name."""
        if keys := self.parameters.get("RequestItems"):
            return {"RequestItems": {table: keys}}
        if puts := self.parameters.get("TransactItems"):
            return {"TransactItems": [{"Put": {"TableName": table, **one["Put"]}} for one in puts]}
        return {"TableName": table, **self.parameters}

    def read_refusal(self, error: ClientError) -> Answer:
        """Read AWS's answer that the condition failed; raise any other error."""
        if self.read_refused is None or error_code(error) != self.refusal:
            raise error
        return self.read_refused(error.response.get("Item"))
