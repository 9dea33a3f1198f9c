"""What clients of SD WebUI choose from, and what each tenant has chosen: SD WebUI's lists, and its options."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from api.errors import InvalidRequestError
from api.faces.dialects.dialect import DialectCall
from api.http import Response
from api.operations.models import Model, UnknownModelError
from contract import strict_json
from contract.field_errors import FieldError
from contract.task import CHECKPOINT_ATTRIBUTE
from jobs import notes
from runtimes.live import LiveCatalog, Named, spellings
from runtimes.sdwebui.checkpoints import is_checkpoint_hash, named_checkpoints, same_checkpoint

RUNTIME_TYPE = "sdwebui"
PREVIEWS = "live_previews_enable"
"""The option that has pictures made of unfinished work, which is off here at first: each costs a write to S3."""
_NOTE = "sdwebui/options"


@dataclass(frozen=True, slots=True)
class Drawer:
    """What draws: a model, and the checkpoint that a server of type sdwebui is to load; None for the model's own."""

    model: Model
    checkpoint: str | None = None


def options(call: DialectCall) -> Response:
    """GET /options: what the caller has set, and what it draws with."""
    stored = stored_options(call)
    shown = {"sd_checkpoint_hash": None, "samples_format": "png", PREVIEWS: False, **stored}
    return Response.json(200, {CHECKPOINT_ATTRIBUTE: next(_titles(call), None), **shown})


def set_options(call: DialectCall) -> Response:
    """POST /options: the caller's own, whatever they are called; they hold for its requests that say nothing else."""
    changed = call.json()
    if name := changed.get(CHECKPOINT_ATTRIBUTE):
        _find(call, str(name))
    kept = {**stored_options(call), **changed}
    if (size := strict_json.utf8_size(kept)) > notes.MAX_BYTES:
        detail = f"would be {size} bytes of JSON with those that are set; at most {notes.MAX_BYTES} are kept"
        raise InvalidRequestError([FieldError("", detail)])
    call.services.jobs.run(notes.keep(call.tenant, _NOTE, kept, time.time()))
    return Response.json(200, None)


def checkpoints(call: DialectCall) -> Response:
    """GET /sd-models: checkpoints, and the other models of this platform."""
    shown = [
        {"title": title, "model_name": title, "hash": None, "sha256": None, "filename": title, "config": None}
        for title in dict.fromkeys(_titles(call))
    ]
    return Response.json(200, shown)


def samplers(call: DialectCall) -> Response:
    """GET /samplers."""
    return _listed(call, "samplers", lambda one: {"name": one.name, "aliases": list(one.aliases), "options": {}})


def schedulers(call: DialectCall) -> Response:
    """GET /schedulers."""
    return _listed(call, "schedulers", lambda one: {"name": (*one.aliases, one.name)[0], "label": one.name})


def upscalers(call: DialectCall) -> Response:
    """GET /upscalers."""
    return _listed(call, "upscalers", lambda one: {"name": one.name, "model_name": None, "scale": 4})


def loras(call: DialectCall) -> Response:
    """GET /loras."""
    return _listed(call, "loras", lambda one: {"name": one.name, "alias": (*one.aliases, one.name)[0], "metadata": {}})


def vaes(call: DialectCall) -> Response:
    """GET /sd-vae."""
    return _listed(call, "vaes", lambda one: {"model_name": one.name, "filename": one.name})


def stored_options(call: DialectCall) -> dict[str, Any]:
    """The options that the caller has set."""
    return call.services.jobs.run(notes.read(call.tenant, _NOTE))


def drawer_of(call: DialectCall, body: Mapping[str, Any], options: Mapping[str, Any]) -> Drawer:
    """What draws a picture: the request's own checkpoint, the one that its caller prefers, or the first of all."""
    named = next((one.name for one in named_checkpoints(body) if one.draws), None)
    return _find(call, str(named or options.get(CHECKPOINT_ATTRIBUTE) or next(_titles(call), "")))


def _find(call: DialectCall, name: str) -> Drawer:
    """What draws under a name: a checkpoint, or a model of this dialect."""
    for runtime in call.services.catalog:
        if runtime.type == RUNTIME_TYPE:
            live = runtime.live() if runtime.dynamic_model else None
            known = spellings(live.models) if live else filter(None, (runtime.model_filename,))
            if any(same_checkpoint(one, name) for one in known):
                return Drawer(Model(name=name, runtime=runtime), name)
    try:
        return Drawer(call.model(name))
    except UnknownModelError:
        dynamic = call.services.catalog.for_checkpoint(name)
        if dynamic is None or (dynamic.live() is not None and not is_checkpoint_hash(name)):
            raise UnknownModelError(name, list(_titles(call))) from None
        return Drawer(Model(name=name, runtime=dynamic), name)  # which only its servers can look up


def _titles(call: DialectCall) -> Iterator[str]:
    """What a client may choose from; the first is what draws where nothing is chosen."""
    for runtime in call.services.catalog:
        if runtime.type == RUNTIME_TYPE:
            live = runtime.live() if runtime.dynamic_model else None
            held = runtime.model_filename or runtime.name  # whose checkpoints are not known now
            yield from [one.name for one in live.models] if live else [held]
    catalog = call.services.catalog
    for name in call.services.models.names(call.dialect, call.tenant):
        if (named := catalog.find(name)) is None or named.type != RUNTIME_TYPE:
            yield name


def _listed(call: DialectCall, kind: str, shown: Callable[[Named], dict[str, Any]]) -> Response:
    """What the servers of type sdwebui have of a kind, each name once."""
    found: dict[str, Named] = {}
    for runtime in call.services.catalog:
        live = runtime.live() if runtime.type == RUNTIME_TYPE else None
        for one in getattr(live or LiveCatalog(), kind):
            found.setdefault(one.name, one)
    return Response.json(200, [shown(one) for one in found.values()])
