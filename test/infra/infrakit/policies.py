"""Evaluates IAM policies: identity policies of roles, and resource policies of queues, topics and keys.

It knows what the platform's templates use and refuses what it does not know, so that no condition is passed over.
"""

import fnmatch
import re

from infrakit.stacks import listed

_KNOWN = {"Sid", "Effect", "Principal", "Action", "Resource", "Condition"}


def matches(actual, pattern):
    """Whether a pattern with ``*`` and ``?`` stands for a name."""
    # fnmatch knows brackets, IAM does not.
    return re.fullmatch(fnmatch.translate(pattern.replace("[", "[[]")), actual) is not None


_OPERATORS = {
    "ArnEquals": matches,
    "ArnLike": matches,
    "Bool": lambda actual, wanted: actual.lower() == str(wanted).lower(),
    "NumericLessThan": lambda actual, wanted: float(actual) < float(wanted),
    "StringEquals": lambda actual, wanted: actual == wanted,
    "StringLike": matches,
}


_OPTIONAL = "IfExists"
_ALL = "ForAllValues:"


def allowed(policy, action, resource, *, principal=None, context=None):
    """Whether a policy document allows a request: one statement must allow it, and none deny it.

    ``principal`` is {"Service": …} or {"AWS": …} where the policy is a resource's.
    """
    applying = [
        one for one in listed(policy["Statement"]) if _applies(one, action, resource, principal or {}, context or {})
    ]
    return bool(applying) and all(one["Effect"] == "Allow" for one in applying)


def denies(document, action, context):
    """Whether a resource's policy denies a request that its caller's role allows."""
    statements = [{**one, "Resource": "*"} for one in listed(document["Statement"])]
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    return not allowed({"Statement": [*statements, everything]}, action, "any", context=context)


def _applies(statement, action, resource, principal, context):
    assert set(statement) <= _KNOWN, f"not evaluated here: {set(statement) - _KNOWN}"
    return (
        _is_of(statement.get("Principal", "*"), principal)
        and any(matches(action.lower(), wanted.lower()) for wanted in listed(statement["Action"]))
        and any(matches(resource, wanted) for wanted in listed(statement["Resource"]))
        and all(
            _fulfilled(operator, context.get(key), listed(values))
            for operator, keys in statement.get("Condition", {}).items()
            for key, values in keys.items()
        )
    )


def _fulfilled(operator, actual, wanted):
    """Whether a key of the request fulfils a condition; one that the request does not have fulfils few."""
    holds = _OPERATORS[operator.removeprefix(_ALL).removesuffix(_OPTIONAL)]
    if actual is None:
        return operator.startswith(_ALL) or operator.endswith(_OPTIONAL)
    values = actual if operator.startswith(_ALL) else [actual]
    return all(any(holds(value, one) for one in wanted) for value in values)


def _is_of(stated, principal):
    return stated == "*" or any(
        wanted == "*" or principal.get(kind) == wanted for kind, some in stated.items() for wanted in listed(some)
    )
