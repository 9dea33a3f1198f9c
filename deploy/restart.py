"""``python -m deploy.restart``: restart a runtime's pods one after the other; deploy/restart.sh starts it."""

import argparse
import sys
from collections.abc import Sequence

from configuration.file import ConfigFileError, load_config
from deploy.aws import Account
from deploy.errors import DeployError
from deploy.scripts import ROOT, exit_code_of, run

_CHART = "sd-on-eks"
_REMEDY = "Make kubectl know the cluster: run the stack's output ConfigCommand. Its name for it is the cluster's ARN."


def main(arguments: Sequence[str] | None = None) -> int:
    """Restart; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="deploy/restart.sh",
        description="Restart a runtime's pods, so that they find files that a model server reads at its start only:"
        " upscalers, embeddings, hypernetworks. Running jobs end first.",
    )
    parser.add_argument("runtime", metavar="RUNTIME", help="its name in config.yaml")
    parser.add_argument("-R", "--region", help="where it is (the current profile's region)")
    options = parser.parse_args(arguments)
    return exit_code_of(lambda: _restart(options.runtime, options.region))


def _restart(name: str, region: str | None) -> None:
    try:
        config = load_config(ROOT / "config.yaml")
    except (ConfigFileError, OSError) as exc:
        raise DeployError(str(exc), "Correct config.yaml.") from exc
    runtimes = {one.name: one for one in config.models_runtime}
    if name not in runtimes:
        raise DeployError(f"config.yaml has no runtime {name}.", f"It has {', '.join(runtimes)}.")
    account = Account.find(region)
    cluster = f"arn:{account.partition_name}:eks:{account.region}:{account.id}:cluster/{config.cloudformation_stack}"
    place = ["--context", cluster, "--namespace", runtimes[name].namespace]
    labels = f"app.kubernetes.io/name={_CHART},app.kubernetes.io/instance={name}"
    run(["kubectl", *place, "rollout", "restart", "deployment", "--selector", labels], remedy=_REMEDY)


if __name__ == "__main__":
    sys.exit(main())
