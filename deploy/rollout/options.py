"""The options of deploy/deploy.sh. Imports nothing that must be installed, so that --help works at once."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runtimes.flux.profiles import RUNNABLE
from runtimes.registry import pod_types

FIRST_MODELS: Mapping[str, Mapping[str, Any]] = {
    "bedrock": {"id": "stability.stable-image-core-v1:1", "region": "us-west-2", "concurrency": 4},
}
"""What a new runtime of a managed type draws with: of Bedrock's models the cheapest."""
NEW_SNAPSHOT = "new"
"""In place of a snapshot's ID: one is made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutOptions:
    """The operator's choices, which --help describes. None leaves a choice to the script."""

    stack_name: str
    region: str | None
    dry_run: bool
    plan: bool
    bucket: str | None
    snapshot: str | None
    runtime_name: str
    runtime_type: str
    profile: str
    skip_tools: bool
    yes: bool

    @property
    def is_managed(self) -> bool:
        """Whether a service of AWS runs the jobs of a new runtime."""
        return self.runtime_type in FIRST_MODELS


def parse_options(arguments: Sequence[str] | None) -> RolloutOptions:
    """Read a command line; an error in it ends the process with code 2."""
    return RolloutOptions(**vars(_parser().parse_args(arguments)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="deploy/deploy.sh",
        description="Deploy the platform, or bring a deployed one up to date with config.yaml.",
        epilog="Every step looks first whether it is done already: after a failure run the same command again.",
    )
    parser.add_argument("-n", "--stack-name", default="sdoneks", metavar="NAME", help="the deployment (%(default)s)")
    parser.add_argument("-R", "--region", help="where it is deployed to (the current profile's region)")
    parser.add_argument(
        "-d",
        "--dry-run",
        action="store_true",
        help="prepare tools, bucket, model, images, snapshot and config.yaml, but do not deploy",
    )
    parser.add_argument("--plan", action="store_true", help="touch nothing in the account; say what would be done")
    parser.add_argument("-b", "--bucket", metavar="NAME", help="a model bucket that exists in the region (one is made)")
    parser.add_argument(
        "-s",
        "--snapshot",
        metavar="ID",
        help=f"an EBS snapshot that holds the images, or {NEW_SNAPSHOT}: one is made (nodes pull the images)",
    )
    parser.add_argument("-r", "--runtime-name", default="sdruntime", metavar="NAME", help="the runtime (%(default)s)")
    parser.add_argument(
        "-t", "--runtime-type", default="sdwebui", choices=[*pod_types(), *FIRST_MODELS], help="its type (%(default)s)"
    )
    parser.add_argument(
        "-p", "--profile", default="flux-schnell", choices=RUNNABLE, help="its model, for type flux (%(default)s)"
    )
    parser.add_argument("-T", "--skip-tools", action="store_true", help="install nothing; use the tools on the PATH")
    parser.add_argument("--yes", action="store_true", help="do not ask before anything is made")
    return parser


if __name__ == "__main__":
    parse_options(None)
