"""What a request asks for that the servers do not have: checkpoints and upscalers, and what they replace silently."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from contract.field_errors import FieldError, FieldPath, field_path, shown
from runtimes.catalog import DeployedRuntime
from runtimes.live import LiveCatalog, Names, spellings, there_are
from runtimes.sdwebui.checkpoints import checkpoint_stem, is_checkpoint_hash, named_checkpoints
from runtimes.sdwebui.fields import FIELDS, ignored_fields

_UPSCALERS = ("upscaler_1", "upscaler_2", "hr_upscaler")
_LORA = re.compile(r"<lora:([^:<>]{1,200})")
_MAX_HINTS = 10


def missing_from_servers(
    content: Mapping[str, Any], tasktype: str, runtime: DeployedRuntime
) -> Iterator[tuple[FieldPath, str]]:
    """Yield the checkpoints and upscalers of a valid content that the agent would not find on its server.

    Hashes of checkpoints are left to the server, and so are the checkpoints of a static runtime.
    """
    draws = "prompt" in FIELDS[tasktype]
    asked = [one for one in named_checkpoints(content) if not is_checkpoint_hash(one.name)]
    asked = asked if draws and runtime.dynamic_model else []
    upscalers = [(field, content[field]) for field in _UPSCALERS if field in FIELDS[tasktype] and content.get(field)]
    if not (asked or upscalers) or (live := runtime.live()) is None:
        return
    stems = {checkpoint_stem(name) for name in spellings(live.models)}
    missing = [one for one in asked if stems and checkpoint_stem(one.name) not in stems]
    for number, one in enumerate(missing):
        yield one.path, _unknown("checkpoint", one.name, live.models if number < _MAX_HINTS else ())
    known = {name.casefold() for name in spellings(live.upscalers)}
    for field, name in upscalers:
        if known and isinstance(name, str) and name.casefold() not in known:
            yield (field,), _unknown("upscaler", name, live.upscalers)


def warn(content: Mapping[str, Any], tasktype: str, runtime: DeployedRuntime, at: FieldPath) -> Iterator[FieldError]:
    """Yield what SD WebUI would ignore or silently replace; see ``api.content``."""
    yield from ignored_fields(content, tasktype, runtime, at)
    names = dict(_replaceable(content, tasktype))
    if names and (live := runtime.live()) is not None:
        for path, (kind, name) in names.items():
            known = _names_of(kind, live)
            if known and not _is_known(kind, name, live):
                yield FieldError(field_path((*at, *path)), f"{_unknown(kind, name, known)}; {_INSTEAD[kind]}")


_INSTEAD = {
    "sampler": "another one is used",
    "scheduler": "another one is used",
    "VAE": "the picture is drawn without it",
    "LoRA": "the picture is drawn without it",
}


def _replaceable(content: Mapping[str, Any], tasktype: str) -> Iterator[tuple[FieldPath, tuple[str, str]]]:
    """What the content names that SD WebUI replaces if it does not have it: where, which kind, and the name."""
    for field, kind in (("sampler_name", "sampler"), ("scheduler", "scheduler"), ("hr_sampler_name", "sampler")):
        name = content.get(field)
        if field in FIELDS[tasktype] and isinstance(name, str) and name and name.casefold() != "use same sampler":
            yield (field,), (kind, name)
    settings = content.get("override_settings")
    vae = settings.get("sd_vae") if isinstance(settings, dict) else None
    if isinstance(vae, str) and vae not in {"", "None", "Automatic"}:
        yield ("override_settings", "sd_vae"), ("VAE", vae)
    if "prompt" in FIELDS[tasktype] and isinstance(prompt := content.get("prompt"), str):
        for lora in _LORA.finditer(prompt):
            yield ("prompt",), ("LoRA", lora[1])


def _is_known(kind: str, name: str, live: LiveCatalog) -> bool:
    folded = name.strip().casefold()
    if kind == "sampler":
        # As in older versions, the scheduler's name may follow the sampler's: "DPM++ 2M Karras".
        for scheduler in spellings(live.schedulers):
            if folded.endswith(f" {scheduler.casefold()}"):
                folded = folded.removesuffix(scheduler.casefold()).strip()
                break
    return any(spelling.casefold() == folded for spelling in spellings(_names_of(kind, live)))


def _names_of(kind: str, live: LiveCatalog) -> Names:
    return {"sampler": live.samplers, "scheduler": live.schedulers, "VAE": live.vaes, "LoRA": live.loras}[kind]


def _unknown(kind: str, name: str, known: Names) -> str:
    instead = there_are([one.name for one in known], name, spellings(known)) if known else ""
    return f"names no {kind} of the servers: {shown(name)}{instead}"
