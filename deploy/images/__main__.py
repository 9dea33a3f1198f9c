"""``python -m deploy.images``: build the images into ECR, or mirror other images there.

Standard output has only the result; progress and the output of other programs go to stderr.
"""

import argparse
import json
import os
import sys
from functools import partial

from configuration.images import DEPLOYED, IMAGES
from deploy.aws import Account
from deploy.images.building import build_here, build_missing
from deploy.images.codebuild import build_in_codebuild
from deploy.images.mirror import mirror
from deploy.images.registry import Registry
from deploy.scripts import exit_code_of


def main() -> int:
    """Build or mirror; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m deploy.images", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="build what is not in ECR yet; prints each one's repository, tag, digest")
    build.add_argument("images", nargs="*", metavar="IMAGE", help=f"which (default: {' '.join(DEPLOYED)})")
    build.add_argument("-n", "--stack-name", default="sdoneks", help="the deployment's name (default: sdoneks)")
    with_docker = "build with Docker here, not in CodeBuild; its layers take a node longer to unpack"
    build.add_argument("--docker", dest="engine", action="store_const", const="docker", help=with_docker)
    build.add_argument("--engine", metavar="COMMAND", help="the same with another engine that understands its commands")
    mirroring = commands.add_parser(
        "mirror", help="copy charts and images of others; prints mirrorRegistry of config.yaml"
    )
    mirroring.add_argument("images", nargs="*", metavar="IMAGE", help="further images, as REGISTRY/NAME:TAG")
    for command in (build, mirroring):
        command.add_argument("-R", "--region", help="where the registry is (default: the profile's region)")
    options = parser.parse_args()
    if options.command == "build" and (unknown := set(options.images) - set(IMAGES)):
        parser.error(f"there is no image {', '.join(sorted(unknown))}; there are {', '.join(IMAGES)}")
    # Programs inherit stdout, which belongs to the result.
    with os.fdopen(os.dup(sys.stdout.fileno()), "w") as stdout:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        return exit_code_of(lambda: print(_result(options), file=stdout))


def _result(options: argparse.Namespace) -> str:
    account = Account.find(options.region)
    registry = Registry(account.client("ecr"))
    if options.command == "mirror":
        return mirror(registry, options.images)
    in_codebuild = partial(build_in_codebuild, account.session, options.stack_name)
    build = partial(build_here, options.engine, registry) if options.engine else in_codebuild
    return json.dumps(build_missing([IMAGES[name] for name in options.images or DEPLOYED], registry, build))


if __name__ == "__main__":
    sys.exit(main())
