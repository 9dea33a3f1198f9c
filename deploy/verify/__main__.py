"""``python -m deploy.verify``: verify the platform that the environment names; test/run.sh explains the variables."""

import json
import os
import sys
from collections.abc import Mapping, MutableMapping
from pathlib import Path

import boto3

from configuration.config import ConfigError
from configuration.file import load_config
from deploy.aws import region_of_environment
from deploy.errors import DeployError
from deploy.scripts import exit_code_of
from deploy.verify.samples import Sample, samples_of
from deploy.verify.target import Target, deployed_target, enter_local_stack, local_target
from deploy.verify.verification import SampleOutcome, verify
from runtimes.catalog import DeployedRuntime, RuntimeCatalog
from runtimes.registry import RUNTIME_TYPES

_DEFAULT_WAIT_S = 900.0


def _verify(environ: MutableMapping[str, str]) -> int:
    """Verify; return the exit code."""
    wait = environ.get("WAIT_SECONDS")
    try:
        wait_s = float(wait or _DEFAULT_WAIT_S)
    except ValueError as exc:
        raise DeployError(f"WAIT_SECONDS={wait} is no number of seconds.", "Set a number, or none.") from exc
    target, catalog = _find_target(environ)
    samples = chosen_samples(environ, catalog)
    print(f"Posting {len(samples)} sample(s) to {target.endpoint}; waiting up to {wait_s:g} seconds for the pictures.")
    failed = 0
    for outcome in verify(target, samples, wait_s=wait_s):
        print(_line(outcome), flush=True)
        failed += outcome.problem is not None
    print(f"{len(samples) - failed} of {len(samples)} came back with a picture.")
    return 1 if failed else 0


def _find_target(environ: MutableMapping[str, str]) -> tuple[Target, RuntimeCatalog]:
    """The platform and what it runs; of a deployed one its configuration says that."""
    name, runtime_type = environ.get("RUNTIME_NAME"), environ.get("RUNTIME_TYPE")
    if runtime_type and runtime_type not in RUNTIME_TYPES:
        raise DeployError(f"There is no runtime type {runtime_type}.", f"There are {', '.join(RUNTIME_TYPES)}.")
    if environ.get("LOCAL") == "1":
        stack = enter_local_stack(environ)
        target, catalog = local_target(stack), RuntimeCatalog.from_json(json.dumps(stack["Runtimes"]))
    else:
        catalog = RuntimeCatalog([]) if name and runtime_type else _configured(environ.get("CDK_CONFIG_PATH"))
        boto3.setup_default_session(region_name=region_of_environment())
        target = deployed_target(environ.get("STACK_NAME") or "sdoneksStack")
    if name and runtime_type:
        catalog = RuntimeCatalog([DeployedRuntime(name=name, type=runtime_type, dynamic_model=True)])
    return target, catalog


def _configured(path: str | None) -> RuntimeCatalog:
    file = Path(path or "config.yaml")
    remedy = "It says which runtimes are deployed: correct it, or give RUNTIME_NAME and RUNTIME_TYPE."
    try:
        return load_config(file).catalog
    except ConfigError as exc:
        raise DeployError(str(exc), remedy) from exc
    except OSError as exc:
        raise DeployError(f"{file}: {exc.strerror}.", remedy) from exc


def chosen_samples(environ: Mapping[str, str], catalog: RuntimeCatalog) -> list[Sample]:
    """The samples of the runtimes that are named, by name or by type; where none is, of all."""
    name, runtime_type = environ.get("RUNTIME_NAME"), environ.get("RUNTIME_TYPE")
    chosen = [one for one in catalog if name in (None, "", one.name) and runtime_type in (None, "", one.type)]
    if not chosen:
        asked = " ".join(filter(None, ("runtime", name, runtime_type and f"of type {runtime_type}")))
        known = ", ".join(f"{one.name} ({one.type})" for one in catalog) or "none"
        raise DeployError(f"The platform has no {asked}.", f"Its runtimes are {known}.")
    task_types = environ.get("TASK_TYPES")
    return samples_of(
        catalog,
        chosen,
        api_version=environ.get("API_VERSION") or ("v1alpha2" if name and runtime_type else None),
        checkpoint=environ.get("MODEL_FILENAME") or None,
        task_types=[word.strip() for word in task_types.split(",")] if task_types else None,
    )


def _line(outcome: SampleOutcome) -> str:
    sample, task = outcome.request.sample, outcome.request.task_type
    verdict = "ok  " if outcome.problem is None else "FAIL"
    seconds = "-" if outcome.seconds is None else f"{outcome.seconds:.1f} s"
    result = outcome.problem or " ".join(picture.url for picture in outcome.pictures)
    return f"{verdict}  {task:<20} {sample.api_version:<9} {sample.runtime:<16} {seconds:>8}  {result}"


if __name__ == "__main__":
    sys.exit(exit_code_of(lambda: _verify(os.environ)))
