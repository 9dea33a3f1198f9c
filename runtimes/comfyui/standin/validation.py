"""Validates prompts before they are queued, and rejects them with ComfyUI's messages."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from runtimes.comfyui.standin.nodes import DECLARED, Library

_LONG_LIST = 20
_READERS: dict[str, Any] = {"INT": int, "FLOAT": float, "STRING": str, "BOOLEAN": bool}
_MALFORMED = (KeyError, IndexError, TypeError, AttributeError)
_MESSAGES = {
    "no class": "Cannot execute because a node is missing the class_type property.",
    "unknown class": "Cannot execute because node {kind} does not exist.",
    "prompt_no_outputs": "Prompt has no outputs",
    "prompt_outputs_failed_validation": "Prompt outputs failed validation",
    "required_input_missing": "Required input is missing",
    "bad_linked_input": "Bad linked input, must be a length-2 list of [node_id, slot_index]",
    "return_type_mismatch": "Return type mismatch between linked nodes",
    "custom_validation_failed": "Custom validation failed for node",
    "invalid_input_type": "Failed to convert an input value to a {kind} value",
    "value_smaller_than_min": "Value {value} smaller than min of {limit}",
    "value_bigger_than_max": "Value {value} bigger than max of {limit}",
    "value_not_in_list": "Value not in list",
    "exception_during_validation": "Exception when validating node",
    "exception_during_inner_validation": "Exception when validating inner node",
}

ErrorEntry = dict[str, Any]


@dataclass(kw_only=True)
class PromptVerdict:
    """The result of a check: the reason to reject the prompt, the outputs that can run, the errors by node."""

    error: ErrorEntry | None = None
    outputs: list[str] = field(default_factory=list)
    node_errors: dict[str, Any] = field(default_factory=dict)


def error_entry(kind: str, /, details: str = "", about: Mapping[str, Any] | None = None, **words: Any) -> ErrorEntry:
    """Return an error in ComfyUI's shape; `words` fill its message."""
    shown = kind if "_" in kind else "invalid_prompt"
    message = _MESSAGES[kind].format(**words)
    return {"type": shown, "message": message, "details": details, "extra_info": dict(about or {})}


def validate(prompt: Any, library: Library, targets: list[str] | None = None) -> PromptVerdict:
    """Check a prompt for the outputs in `targets`, or for all; convert values in place.

    Raises:
        TypeError, AttributeError: The prompt is not an object of objects (the real server answers 500).
    """
    outputs = []
    for node_id in prompt:
        kind = prompt[node_id].get("class_type")
        if kind not in DECLARED:
            trouble = "no class" if kind is None else "unknown class"
            return PromptVerdict(error=error_entry(trouble, f"Node ID '#{node_id}'", kind=kind))
        if DECLARED[kind]["output_node"] and (targets is None or node_id in targets):
            outputs.append(node_id)
    if not outputs:
        return PromptVerdict(error=error_entry("prompt_no_outputs"))
    check, verdict, details = _Check(prompt, library), PromptVerdict(), []
    for output in outputs:
        if check.node(output, "exception_during_validation"):
            verdict.outputs.append(output)
            continue
        details += [f"{one['message']}: {one['details']}" for one in check.errors.get(output, [])]
        for node_id, errors in check.errors.items():
            entry = {"errors": errors, "dependent_outputs": [], "class_type": prompt[node_id]["class_type"]}
            verdict.node_errors.setdefault(node_id, entry)["dependent_outputs"].append(output)
    if not verdict.outputs:
        verdict.error = error_entry("prompt_outputs_failed_validation", "\n".join(details))
    return verdict


class _Check:
    """The checked nodes; `errors` are their own, without those of their sources."""

    def __init__(self, prompt: Mapping[str, Any], library: Library) -> None:
        self.errors: dict[str, list[ErrorEntry]] = {}
        self._prompt = prompt
        self._library = library
        self._good: dict[str, bool] = {}

    def node(self, node_id: str, trouble: str = "exception_during_inner_validation") -> bool:
        """Return whether the node can run; `trouble` names the error of one that cannot be understood."""
        if node_id not in self._good:
            self._good[node_id] = False  # until it is known: a node in a circle cannot run, and has no error
            try:
                fed, errors = self._inputs(self._prompt[node_id])
            except _MALFORMED as error:
                fed, errors = False, [error_entry(trouble, str(error), {"exception_type": type(error).__name__})]
            if errors:
                self.errors[node_id] = errors
            self._good[node_id] = fed and not errors
        return self._good[node_id]

    def _inputs(self, entry: dict[str, Any]) -> tuple[bool, list[ErrorEntry]]:
        """Return whether the sources of a node can run, and the node's own errors."""
        inputs, fed, errors = entry["inputs"], True, []
        declared = self._library.declaration(DECLARED[entry["class_type"]]["input"]["required"])
        for name, (kind, *settings) in declared.items():
            about = {"input_name": name, "input_config": [kind, *(settings or [{}])]}
            if name not in inputs:
                found = [error_entry("required_input_missing", name, {"input_name": name})]
            elif isinstance(inputs[name], list):
                found = list(self._link_errors(kind, inputs[name], about))
                fed = fed and (bool(found) or self.node(inputs[name][0]))
            else:
                found = list(self._value_errors(inputs, about))[:1]
            errors += found
        return fed, errors

    def _link_errors(self, kind: Any, value: list[Any], about: dict[str, Any]) -> Iterator[ErrorEntry]:
        name = about["input_name"]
        if len(value) != 2:  # noqa: PLR2004 - a node's id and the number of its output
            yield error_entry("bad_linked_input", name, {**about, "received_value": value})
            return
        received = DECLARED[self._prompt[value[0]]["class_type"]]["output"][value[1]]
        if received != kind and "*" not in (received, kind):
            details = f"{name}, received_type({received}) mismatch input_type({kind})"
            yield error_entry(
                "return_type_mismatch", details, {**about, "received_type": received, "linked_node": value}
            )

    def _value_errors(self, inputs: dict[str, Any], about: dict[str, Any]) -> Iterator[ErrorEntry]:
        name, (kind, settings) = about["input_name"], about["input_config"]
        value = inputs[name]
        if settings.get("image_upload"):
            if self._library.folders.input_file(str(value)) is None:
                yield error_entry(
                    "custom_validation_failed", f"{name} - Invalid image file: {value}", {"input_name": name}
                )
            return
        about = {**about, "received_value": value}
        try:
            value = inputs[name] = _READERS.get(str(kind), lambda value: value)(value)
        except (TypeError, ValueError) as error:
            about["exception_message"] = str(error)
            yield error_entry("invalid_input_type", f"{name}, {value}, {error}", about, kind=kind)
            return
        if "min" in settings and value < settings["min"]:
            yield error_entry("value_smaller_than_min", name, about, value=value, limit=settings["min"])
        if "max" in settings and value > settings["max"]:
            yield error_entry("value_bigger_than_max", name, about, value=value, limit=settings["max"])
        if isinstance(kind, list) and value not in kind:
            shown = str(kind) if len(kind) <= _LONG_LIST else f"(list of length {len(kind)})"
            yield error_entry("value_not_in_list", f"{name}: '{value}' not in {shown}", about)
