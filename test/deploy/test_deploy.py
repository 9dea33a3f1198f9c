"""deploy.sh from an empty account to a running platform, with each step failing in turn."""

import shutil
from pathlib import Path

import pytest

from configuration.file import load_config

BUCKET = "sdoneks-models-123456789012-us-west-2"
IMAGES = [f"registry.example/sd-on-eks/{name}@sha256:" + "a" * 64 for name in ("sdwebui", "queue-agent")]
LOGS = "/aws/eks/sdoneksStack/cluster"
LINE = "cdk deploy --no-rollback --require-approval never"
EXAMPLE = Path(__file__).resolve().parents[2] / "config.yaml"
# Each step that can fail, what makes it fail, and what the operator must read then.
RUNGS = (
    ("Tools", "cdk-version", "leave out -T"),
    ("Quotas and region", "log group", "Log group"),
    ("Consent", "no --yes", "--yes"),
    ("Spot role", "denied", "credentials that may call CreateServiceLinkedRole"),
    ("Model bucket", "bucket elsewhere", "is in eu-west-1"),
    ("Models", "another model", "it was not stored"),
    ("CDK bootstrap", "cdk-bootstrap", "CDKToolkit"),
    ("Images", "images", "Look at the build's log"),
    ("Snapshot", "snapshot.sh", "snapshot.sh"),
    ("Removed runtimes", "tasks in a queue", "old: 2 in sdoneksStack-old"),
    ("Stack", "cdk-deploy", "--no-rollback"),
    ("Verification", "run.sh", "The platform is deployed"),
)
TITLES = [title for title, _, _ in RUNGS]


class Climb:
    """One deployment, run again and again; each time one step later fails."""

    def __init__(self, checkout, models):
        self.checkout, self.world, self.models = checkout, checkout.world, models
        self.runs = {title: self.run(cause) for title, cause, _ in RUNGS}
        self.last = self.runs["last"] = checkout.run("deploy.sh", "-T", "-s", "new", "--yes")

    def run(self, cause):
        world = self.world
        logs, s3, sqs = world.client("logs"), world.client("s3", "eu-west-1"), world.client("sqs")
        causes = {
            "log group": (
                lambda: logs.create_log_group(logGroupName=LOGS),
                lambda: logs.delete_log_group(logGroupName=LOGS),
            ),
            "denied": (
                lambda: world.denied.add("CreateServiceLinkedRole"),
                lambda: world.denied.discard("CreateServiceLinkedRole"),
            ),
            "bucket elsewhere": (lambda: world.bucket(BUCKET, "eu-west-1"), lambda: s3.delete_bucket(Bucket=BUCKET)),
            "another model": (lambda: self.models.be(body=b"another file"), self.models.be),
            "tasks in a queue": (
                lambda: world.queue("sdoneksStack-old", messages=2),
                lambda: sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName="sdoneksStack-old")["QueueUrl"]),
            ),
            "no --yes": (lambda: None, lambda: None),
        }
        arrange, mend = causes.get(cause, (lambda: self.checkout.break_(cause), self.checkout.mend))
        arrange()
        ended = self.checkout.run("deploy.sh", "-T", "-s", "new", *([] if cause == "no --yes" else ["--yes"]))
        mend()
        if cause == "tasks in a queue":  # by now the snapshot is made, and as the real snapshot.sh tags it
            self.checkout.answer("snapshot.sh", world.snapshot(*IMAGES))
        return ended

    def called(self, start):
        return [call for ended in self.runs.values() for call in ended.calls if call.startswith(start)]


@pytest.fixture(scope="module")
def climb(server, model_server, make_checkout, tmp_path_factory):
    server.reset()
    model_server.be()
    checkout = make_checkout(tmp_path_factory.mktemp("checkout"), server, model_server)
    checkout.answer("snapshot.sh", server.snapshot())
    shutil.copy(EXAMPLE, checkout.config)
    return Climb(checkout, model_server)


@pytest.mark.parametrize(("title", "words"), [(title, words) for title, _, words in RUNGS])
def test_a_failure_names_its_step_and_what_to_do_and_only_the_steps_before_it_are_done(climb, title, words):
    ended = climb.runs[title]
    assert ended.code == 1
    assert f"Step “{title}” stopped" in ended.err
    assert words in ended.err
    assert "  → " in ended.err
    assert "Traceback" not in ended.err
    begun = [one for one in TITLES if f"] {one} …" in ended.out]
    assert begun == TITLES[: TITLES.index(title) + 1]


def test_after_all_failures_the_same_command_ends_well_and_makes_nothing_again(climb):
    assert (climb.last.code, climb.last.err) == (0, "")
    assert climb.last.out.count(" in all)") == 15  # how long each step took
    assert len(climb.called("cdk bootstrap")) == 2  # the one that failed, the one after it
    assert len(climb.called("snapshot.sh")) == 2
    assert "holds these images already" in climb.last.out
    assert climb.models.asked.count(None) == 1  # one download
    assert len(climb.called(LINE)) == 3  # the failing one, that of the failed verification, the last
    for words in ("https://api.example/dev", "deploy/print-key.sh", "s3://pictures", "deploy/destroy.sh"):
        assert words in climb.last.out


def test_just_the_images_that_are_needed_are_built_and_put_into_a_snapshot_and_the_runtime_is_verified(climb):
    names = "queue-agent queue-agent-arm64 sdwebui"
    assert climb.last.called("images")[0].startswith(f"images build {names} -n sdoneks -R us-west-2 ")
    ami = "/aws/service/bottlerocket/aws-k8s-1.36/x86_64/1.68.1/image_id"
    made = f"snapshot.sh -r us-west-2 -a {ami} -q {','.join(IMAGES)} "
    assert climb.called("snapshot.sh")[0].startswith(made)
    verified = "run.sh  [region=us-west-2 stack=sdoneksStack runtime=sdruntime type=sdwebui]"
    assert climb.last.called("run.sh") == [verified]


def test_config_yaml_loads_and_has_the_defaults_and_the_example_is_kept_beside_it(climb):
    config = load_config(climb.checkout.config)
    [runtime] = config.models_runtime
    values = runtime.extra_values
    assert (config.stack_name, config.model_bucket_arn) == ("sdoneks", f"arn:aws:s3:::{BUCKET}")
    assert config.profile == "lean"
    assert (runtime.name, runtime.namespace, runtime.type) == ("sdruntime", "default", "sdwebui")
    assert runtime.model_filename == "v1-5-pruned-emaonly.safetensors"
    types = "g5.xlarge g6.xlarge g5.2xlarge g6.2xlarge"
    assert values.karpenter.provisioner.instance_type == types.split()
    assert (values.runtime.scaling.cooldown_period, values.runtime.scaling.max_replica_count) == (300, 5)
    assert values.runtime.inference_api.image.digest == values.runtime.queue_agent.image.digest != ""
    assert values.karpenter.node_template.data_volume.snapshot_id is not None
    [kept] = climb.checkout.root.glob("config.yaml.*.bak")
    assert kept.read_text() == EXAMPLE.read_text()


def test_the_bucket_is_private_encrypted_versioned_and_asks_for_tls(climb):
    s3, at = climb.world.client("s3"), {"Bucket": BUCKET}
    assert all(s3.get_public_access_block(**at)["PublicAccessBlockConfiguration"].values())
    assert s3.get_bucket_encryption(**at)["ServerSideEncryptionConfiguration"]["Rules"]
    assert s3.get_bucket_versioning(**at)["Status"] == "Enabled"
    assert "aws:SecureTransport" in s3.get_bucket_policy(**at)["Policy"]


def test_the_published_policy_allows_what_a_deployment_asks(climb, denied_by_policy):
    asked = climb.world.asked
    assert {"iam:CreateServiceLinkedRole", "s3:PutBucketPolicy", "service-quotas:GetServiceQuota"} <= asked
    assert denied_by_policy(asked) == set()
    assert denied_by_policy({"iam:CreateUser"}) == {"iam:CreateUser"}
    assert climb.world.client("iam").get_role(RoleName="AWSServiceRoleForEC2Spot")
