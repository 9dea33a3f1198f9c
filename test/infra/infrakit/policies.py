"""Evaluates IAM policies: identity policies of roles, and resource policies of queues, topics and keys.

It knows what the platform's templates use and refuses what it does not know, so that no condition is passed over.
"""

import fnmatch
import re


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
_KNOWN = {"Sid", "Effect", "Principal", "Action", "Resource", "Condition"}


class Statement:
    """One statement of a policy document."""

    def __init__(self, document):
        assert set(document) <= _KNOWN, f"not evaluated here: {set(document) - _KNOWN}"
        self.allows = document["Effect"] == "Allow"
        self.actions = _list(document["Action"])
        self.resources = _list(document["Resource"])
        self._principal = document.get("Principal")
        self._conditions = document.get("Condition", {})

    def applies(self, action, resource, *, principal=None, context=None):
        """Whether it speaks of a request; ``principal`` is {"Service": …} or {"AWS": …} for resource policies."""
        return (
            self._is_of(principal)
            and any(matches(action.lower(), wanted.lower()) for wanted in self.actions)
            and any(matches(resource, wanted) for wanted in self.resources)
            and self._holds(context or {})
        )

    def _is_of(self, principal):
        if self._principal is None or self._principal == "*":
            return True
        kinds = self._principal.items()
        return any(
            wanted == "*" or (principal or {}).get(kind) == wanted for kind, some in kinds for wanted in _list(some)
        )

    def _holds(self, context):
        """All conditions; a key that the request does not have fulfils none."""
        return all(
            key in context and any(_OPERATORS[operator](context[key], wanted) for wanted in _list(values))
            for operator, keys in self._conditions.items()
            for key, values in keys.items()
        )


def statements(*documents):
    """All statements of policy documents."""
    return [Statement(one) for document in documents for one in _list(document["Statement"])]


def allowed(policy, action, resource, **request):
    """Whether statements allow a request: one must allow it, and none deny it."""
    applying = [one for one in policy if one.applies(action, resource, **request)]
    return bool(applying) and all(one.allows for one in applying)


def _list(value):
    return value if isinstance(value, list) else [value]
