"""What a prompt must satisfy before it is queued, and the words in which ComfyUI rejects it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from runtimes.comfyui.standin.registry import NODES, Library, Node

_LONG_LIST = 20
_READERS: dict[str, Any] = {"INT": int, "FLOAT": float, "STRING": str, "BOOLEAN": bool}
_ANY = "*"
_TRACEBACK = [
    '  File "/srv/comfyui/execution.py", line 1010, in validate_prompt\n',
    '  File "/srv/comfyui/execution.py", line 788, in validate_inputs\n',
]

ErrorEntry = dict[str, Any]


@dataclass(kw_only=True)
class PromptVerdict:
    """What came of checking a prompt: a reason to reject it, the outputs that may run, the errors by node."""

    error: ErrorEntry | None = None
    outputs: list[str] = field(default_factory=list)
    node_errors: dict[str, Any] = field(default_factory=dict)


def error_entry(kind: str, message: str, details: str, **extra: Any) -> ErrorEntry:
    """Return one error in ComfyUI's shape."""
    return {"type": kind, "message": message, "details": details, "extra_info": extra}


def validate(prompt: Any, library: Library, targets: list[str] | None = None) -> PromptVerdict:
    """Check a prompt; values are converted in place, as the real server does.

    Args:
        prompt: Nodes by id.
        library: What the server has.
        targets: The outputs that are to run; None for all.

    Raises:
        TypeError: The prompt is not an object of objects (the real server answers 500).
    """
    outputs = []
    for node_id in prompt:
        entry = prompt[node_id]
        where = f"Node ID '#{node_id}'"
        if "class_type" not in entry:
            return PromptVerdict(
                error=error_entry(
                    "invalid_prompt", "Cannot execute because a node is missing the class_type property.", where
                )
            )
        kind = NODES.get(entry["class_type"])
        if kind is None:
            words = f"Cannot execute because node {entry['class_type']} does not exist."
            return PromptVerdict(error=error_entry("invalid_prompt", words, where))
        if kind.is_output and (targets is None or node_id in targets):
            outputs.append(node_id)
    if not outputs:
        return PromptVerdict(error=error_entry("prompt_no_outputs", "Prompt has no outputs", ""))
    # The real server keeps the outputs in a set, so any order may come; tests rely on none but this one.
    return _Check(prompt, library).outputs(list(reversed(outputs)))


class _Check:
    def __init__(self, prompt: Mapping[str, Any], library: Library) -> None:
        self._prompt = prompt
        self._library = library
        self._known: dict[str, tuple[bool, list[ErrorEntry]]] = {}
        self._open: set[str] = set()

    def outputs(self, outputs: list[str]) -> PromptVerdict:
        verdict = PromptVerdict()
        words: list[str] = []
        for node_id in outputs:
            try:
                good, errors = self._node(node_id)
            except (KeyError, IndexError, TypeError, AttributeError) as error:
                extra = {"exception_type": type(error).__name__, "traceback": _TRACEBACK}
                good = False
                errors = [
                    error_entry("exception_during_validation", "Exception when validating node", str(error), **extra)
                ]
                self._known[node_id] = (False, errors)
            if good:
                verdict.outputs.append(node_id)
            else:
                words += [f"{one['message']}: {one['details']}" for one in errors]
                self._blame(node_id, verdict)
        if not verdict.outputs:
            verdict.error = error_entry(
                "prompt_outputs_failed_validation", "Prompt outputs failed validation", "\n".join(words)
            )
        return verdict

    def _blame(self, output: str, verdict: PromptVerdict) -> None:
        for node_id, (good, errors) in self._known.items():
            if not good and errors:
                entry = {"errors": errors, "dependent_outputs": [], "class_type": self._prompt[node_id]["class_type"]}
                verdict.node_errors.setdefault(node_id, entry)["dependent_outputs"].append(output)

    def _node(self, node_id: str) -> tuple[bool, list[ErrorEntry]]:
        """Return whether the node may run, and its own errors; one in a circle may not, without an error."""
        if node_id in self._known:
            return self._known[node_id]
        if node_id in self._open:
            return False, []
        self._open.add(node_id)
        try:
            self._known[node_id] = self._inputs(node_id)
        finally:
            self._open.discard(node_id)
        return self._known[node_id]

    def _inputs(self, node_id: str) -> tuple[bool, list[ErrorEntry]]:
        entry = self._prompt[node_id]
        inputs, kind = entry["inputs"], NODES[entry["class_type"]]
        errors: list[ErrorEntry] = []
        good = True
        for name in kind.inputs:
            if name not in inputs:
                errors.append(error_entry("required_input_missing", "Required input is missing", name, input_name=name))
            elif isinstance(inputs[name], list):
                found = self._link(name, kind, inputs[name])
                good = good and found is not False
                errors += [found] if isinstance(found, dict) else []
            elif name == kind.file_input:
                if self._library.folders.input_file(str(inputs[name])) is None:
                    words = f"{name} - Invalid image file: {inputs[name]}"
                    message = "Custom validation failed for node"
                    errors.append(error_entry("custom_validation_failed", message, words, input_name=name))
            else:
                errors += self._value(name, kind, inputs)
        return good and not errors, errors

    def _link(self, name: str, kind: Node, value: list[Any]) -> ErrorEntry | bool:
        config = kind.config(name, self._library)
        about = {"input_name": name, "input_config": config}
        if len(value) != 2:  # noqa: PLR2004 - a node's id and the number of its output
            words = "Bad linked input, must be a length-2 list of [node_id, slot_index]"
            return error_entry("bad_linked_input", words, name, **about, received_value=value)
        received = NODES[self._prompt[value[0]]["class_type"]].outputs[value[1]]
        if _ANY not in (received, config[0]) and received != config[0]:
            details = f"{name}, received_type({received}) mismatch input_type({config[0]})"
            words = "Return type mismatch between linked nodes"
            return error_entry(
                "return_type_mismatch", words, details, **about, received_type=received, linked_node=value
            )
        try:
            return self._node(value[0])[0]
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            told = {"exception_message": str(error), "exception_type": type(error).__name__, "traceback": _TRACEBACK}
            words = "Exception when validating inner node"
            inner = error_entry(
                "exception_during_inner_validation", words, str(error), **about, **told, linked_node=value
            )
            self._known[value[0]] = (False, [inner])
            return False

    def _value(self, name: str, kind: Node, inputs: dict[str, Any]) -> list[ErrorEntry]:
        config, value = kind.config(name, self._library), inputs[name]
        declared, settings = config
        about = {"input_name": name, "input_config": config}
        if isinstance(value, dict) and "__value__" in value:
            value = value["__value__"]
        if isinstance(declared, str) and declared in _READERS:
            try:
                value = _READERS[declared](value)
            except (TypeError, ValueError) as error:
                words = f"Failed to convert an input value to a {declared} value"
                told = {"received_value": value, "exception_message": str(error)}
                return [error_entry("invalid_input_type", words, f"{name}, {value}, {error}", **about, **told)]
        inputs[name] = value
        if "min" in settings and value < settings["min"]:
            words = f"Value {value} smaller than min of {settings['min']}"
            return [error_entry("value_smaller_than_min", words, name, **about, received_value=value)]
        if "max" in settings and value > settings["max"]:
            words = f"Value {value} bigger than max of {settings['max']}"
            return [error_entry("value_bigger_than_max", words, name, **about, received_value=value)]
        if isinstance(declared, list) and value not in declared:
            short = len(declared) <= _LONG_LIST
            shown = str(declared) if short else f"(list of length {len(declared)})"
            told = {**about, "input_config": config if short else None, "received_value": value}
            return [error_entry("value_not_in_list", "Value not in list", f"{name}: '{value}' not in {shown}", **told)]
        return []
