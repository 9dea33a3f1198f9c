"""``python -m deploy.images``: build the images into ECR, or mirror those of others there.

The result is all that goes to standard output; progress, and what other programs say, goes to stderr.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from configuration.images import DEPLOYED, IMAGES
from deploy.account import Account
from deploy.images.building import Builder, build_missing
from deploy.images.codebuild import CodeBuild
from deploy.images.engine import Engine
from deploy.images.mirror import Mirror
from deploy.images.repositories import Repositories
from deploy.processes import ROOT
from deploy.scripts import exit_code_of


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.images", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="build what is not in ECR yet; prints each one's repository, tag, digest")
    build.add_argument("images", nargs="*", metavar="IMAGE", help=f"which (default: {' '.join(DEPLOYED)})")
    build.add_argument("-n", "--stack-name", default="sdoneks", help="the deployment's name (default: sdoneks)")
    build.add_argument(
        "--docker",
        dest="engine",
        action="store_const",
        const="docker",
        help="build with Docker here, not in CodeBuild",
    )
    build.add_argument("--engine", metavar="COMMAND", help="the same with another engine that understands its commands")
    mirror = commands.add_parser(
        "mirror", help="copy charts and images of others; prints mirrorRegistry of config.yaml"
    )
    mirror.add_argument("images", nargs="*", metavar="IMAGE", help="further images, as REGISTRY/NAME:TAG")
    for command in (build, mirror):
        command.add_argument("-R", "--region", help="where the registry is (default: the profile's region)")
    return parser


def _build(options: argparse.Namespace, account: Account, repositories: Repositories) -> Mapping[str, object]:
    builder: Builder = (
        Engine(options.engine, root=ROOT, repositories=repositories)
        if options.engine
        else CodeBuild(account.session, options.stack_name, environ={"AWS_REGION": account.region})
    )
    sources = [IMAGES[name] for name in options.images or DEPLOYED]
    return build_missing(sources, root=ROOT, repositories=repositories, builder=builder)


@contextmanager
def _programs_speak_on_stderr() -> Iterator[None]:
    kept = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        yield
    finally:
        os.dup2(kept, sys.stdout.fileno())
        os.close(kept)


def main(arguments: Sequence[str] | None = None) -> int:
    """Build or mirror; return the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command == "build" and (unknown := set(options.images) - set(IMAGES)):
        parser.error(f"there is no image {', '.join(sorted(unknown))}; there are {', '.join(IMAGES)}")

    def work() -> None:
        with _programs_speak_on_stderr():
            account = Account.find(options.region)
            repositories = Repositories(account.session.client("ecr"))
            if options.command == "build":
                result = json.dumps(_build(options, account, repositories))
            else:
                result = Mirror(repositories).fill(options.images)
        print(result)

    return exit_code_of(work)


if __name__ == "__main__":
    sys.exit(main())
