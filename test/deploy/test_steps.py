import threading
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from deploy import account, stacks
from deploy.account import Account
from deploy.errors import DeployError
from deploy.failures import explained_failures
from deploy.rollout.config_yaml import ConfigYaml, Origin
from deploy.rollout.steps.bucket import Bucket
from deploy.rollout.steps.config import ConfigFile
from deploy.rollout.steps.images import Images
from deploy.rollout.steps.model import Model
from deploy.rollout.steps.removals import Removals
from deploy.rollout.steps.snapshot import Snapshot
from deploy.rollout.steps.stack import PlatformStack
from deploy.stacks import Event, Stack

MODEL = "Stable-diffusion/v1-5-pruned-emaonly.safetensors"
OWN = """
stackName: sdoneks
modelBucketArn: arn:aws:s3:::mine
modelsRuntime:
  - {name: one, namespace: one, type: sdwebui, modelFilename: one.safetensors}
  - {name: two, namespace: two, type: comfyui, disabled: true}
"""


@pytest.fixture
def own(inside, world, deployment):
    """A deployment with a config.yaml of the operator's."""

    def open_(*arguments, text=OWN):
        if not world.client("s3").list_buckets()["Buckets"]:
            world.bucket("mine")
        inside.config.write_text(text)
        return deployment(*arguments)

    return open_


class TestConfigYaml:
    def test_the_operators_file_for_this_deployment_is_kept_with_its_bucket(self, own, inside):
        opened = own()
        assert opened.bucket == "mine"
        assert ConfigFile().run(opened) == "kept: it was edited"
        assert inside.config.read_text() == OWN

    def test_an_edited_file_of_the_scripts_own_is_kept(self, inside, world, deployment):
        world.bucket("mine")
        ConfigFile().run(deployment("-b", "mine"))
        edited = inside.config.read_text().replace("maxReplicaCount: 5", "maxReplicaCount: 7")
        inside.config.write_text(edited)
        opened = deployment()
        ConfigFile().run(opened)
        assert inside.config.read_text() == edited
        assert opened.config.models_runtime[0].extra_values.runtime.scaling.max_replica_count == 7

    def test_an_unedited_file_of_the_scripts_own_is_written_anew(self, inside, world, deployment):
        world.bucket("mine")
        ConfigFile().run(deployment("-b", "mine"))
        ConfigFile().run(deployment("-r", "other"))
        assert "name: other" in inside.config.read_text()
        assert list(inside.root.glob("*.bak")) == []

    def test_another_deployments_file_is_moved_aside_never_over_an_earlier_one(self, own, inside, capsys):
        for number in (1, 2):
            ConfigFile().run(own("-n", "other"))
            assert (inside.root / f"config.yaml.{number}.bak").read_text() == OWN
        assert "config.yaml.2.bak" in capsys.readouterr().out

    def test_a_file_with_faults_stops_the_run_with_their_lines(self, own):
        with pytest.raises(DeployError, match="line 3: modelBucketArn"):
            own(text=OWN.replace("arn:aws:s3:::mine", "<bucket name>"))

    def test_options_without_effect_are_told(self, own, world, capsys):
        ConfigFile().run(own("-s", world.snapshot(), "-r", "absent"))
        told = capsys.readouterr().out
        assert "-r absent has no effect: config.yaml has one, two" in told
        assert "has no effect on one" in told

    def test_a_name_that_no_runtime_may_have_is_refused_before_anything(self, deployment):
        with pytest.raises(DeployError, match=r"modelsRuntime\[0\].name"):
            deployment("-r", "Not_A_Name")

    def test_what_is_written_is_known_as_written_until_a_letter_changes(self, tmp_path):
        file = ConfigYaml(tmp_path / "config.yaml")
        assert file.origin is Origin.ABSENT
        file.write({"stackName": "a"})
        assert file.origin is Origin.GENERATED
        file.path.write_text(file.path.read_text() + "\n")
        assert file.origin is Origin.OPERATOR


class TestBucketAndModels:
    def test_a_named_bucket_must_exist(self, deployment):
        with pytest.raises(DeployError, match="no bucket absent"):
            Bucket().run(deployment("-b", "absent"))

    def test_a_named_bucket_is_left_as_it_is(self, deployment, world):
        Bucket().run(deployment("-b", world.bucket("mine")))
        assert world.client("s3").get_bucket_versioning(Bucket="mine").get("Status") is None

    def test_a_named_bucket_in_another_region_is_refused(self, deployment, world):
        with pytest.raises(DeployError, match="is in eu-west-1"):
            Bucket().run(deployment("-b", world.bucket("mine", "eu-west-1")))

    def test_a_model_that_config_yaml_names_must_be_under_stable_diffusion(self, own, world):
        opened = own()
        world.model("mine", "one.safetensors")
        with pytest.raises(DeployError, match=r"deploy/upload-model.sh one.safetensors Stable-diffusion mine"):
            Model().run(opened)
        world.model("mine", "Stable-diffusion/one.safetensors")
        assert Model().run(opened) == "one.safetensors in Stable-diffusion/"

    def test_a_default_model_that_lies_there_already_is_verified_and_not_downloaded(self, inside, deployment, world):
        opened = deployment("-b", world.bucket("mine"))
        world.model("mine", MODEL, body=b"not the published one")
        with pytest.raises(DeployError, match="with another content"):
            Model().run(opened)

    @pytest.fixture
    def china(self, deployment, monkeypatch):
        monkeypatch.setattr("deploy.rollout.opening.offered", lambda _, types: list(types))
        return lambda *arguments: deployment("-R", "cn-northwest-1", *arguments)

    def test_china_stops_before_anything_without_a_bucket(self, china):
        with pytest.raises(DeployError, match="Hugging Face cannot be reached"):
            china()

    def test_china_stops_where_the_bucket_lacks_the_model(self, china, world):
        opened = china("-b", world.bucket("mine", "cn-northwest-1"))
        with pytest.raises(DeployError, match=r"upload-model.sh v1-5-pruned-emaonly.safetensors Stable-diffusion mine"):
            Model().foresee(opened)

    def test_china_gets_its_own_arns_and_instances(self, china, world):
        config = china("-b", world.bucket("mine", "cn-northwest-1")).config
        assert config.model_bucket_arn == "arn:aws-cn:s3:::mine"
        types = config.models_runtime[0].extra_values.karpenter.provisioner.instance_type
        assert types == ["g4dn.xlarge", "g4dn.2xlarge"]


class TestImagesAndSnapshot:
    def test_a_build_that_does_not_say_what_it_built_is_refused(self, inside, deployment, monkeypatch):
        monkeypatch.setattr("deploy.rollout.steps.images.output_of", lambda *_, **__: "done")
        with pytest.raises(DeployError, match="did not say"):
            Images().run(deployment())

    def test_a_build_that_lacks_an_image_is_refused(self, inside, deployment, monkeypatch):
        monkeypatch.setattr("deploy.rollout.steps.images.output_of", lambda *_, **__: "{}")
        with pytest.raises(DeployError, match="queue-agent, sdwebui"):
            Images().run(deployment())

    def test_a_snapshot_that_is_not_there_is_refused(self, deployment):
        with pytest.raises(DeployError, match="not there in this region"):
            Snapshot().run(deployment("-s", "snap-0123"))

    @pytest.mark.parametrize("tags", [{"image-1": "mine:7", "image-2": "agent:7"}, {"Name": "by hand"}])
    def test_a_snapshot_that_holds_the_images_or_does_not_say_is_taken(self, own, world, capsys, tags):
        Snapshot().run(own(text=_with_image(_tagged(world, tags), "mine")))
        assert "does not hold" not in capsys.readouterr().out

    def test_an_image_that_the_snapshot_lacks_is_told(self, own, world, capsys):
        snapshot = _tagged(world, {"image-1": "mine:6", "image-2": "agent:7"})
        Snapshot().run(own(text=_with_image(snapshot, "mine")))
        assert f"Snapshot {snapshot} does not hold mine:7: nodes of one pull it first" in capsys.readouterr().out

    def test_a_remembered_snapshot_that_is_gone_is_made_again(self, inside, deployment, world, monkeypatch):
        made = []
        monkeypatch.setattr(
            "deploy.rollout.steps.snapshot.output_of", lambda *_, **__: made.append(world.snapshot()) or made[-1]
        )
        opened = deployment()
        opened.images = {"sdwebui": "registry/sdwebui@sha256:1", "queue-agent": "registry/queue-agent@sha256:2"}
        Snapshot().run(opened)
        Snapshot().run(opened)
        assert len(made) == 1
        world.client("ec2").delete_snapshot(SnapshotId=made[0])
        Snapshot().run(opened)
        assert len(made) == 2


class TestRemovals:
    @pytest.mark.parametrize("queue", ["old", "old-returned", "old-dead"])
    def test_a_runtime_whose_queues_hold_tasks_is_not_removed(self, own, world, queue):
        opened = own()
        for name in {"old", queue}:
            world.queue(f"sdoneksStack-{name}", messages=name == queue)
        with pytest.raises(DeployError, match="disabled: true"):
            Removals().run(opened)

    def test_a_runtime_with_empty_queues_is_removed(self, own, world):
        opened = own()
        world.queue("sdoneksStack-old")
        assert Removals().run(opened) == "old will be removed"

    def test_runtimes_of_config_yaml_other_stacks_and_other_queues_do_not_count(self, own, world):
        opened = own()
        for name in ("sdoneksStack-one", "sdoneksStack-two-dead", "otherStack-old", "sdoneksStack-InterruptionQueue1A"):
            world.queue(name, messages=1)
        world.queue("sdoneksStack-two")
        assert Removals().run(opened) == "no runtime is removed"

    def test_a_new_config_yaml_never_removes_runtimes(self, deployment, world):
        opened = deployment()
        world.queue("sdoneksStack-old")
        with pytest.raises(DeployError, match="would remove old"):
            Removals().run(opened)


class TestTheStack:
    @pytest.fixture(autouse=True)
    def quick(self, monkeypatch):
        monkeypatch.setattr(stacks, "_POLL_S", 0.05)

    def test_an_operation_under_way_is_waited_for_and_its_events_are_shown(self, inside, deployment, world, capsys):
        opened = deployment()
        stack = world.stack()
        stack.status = "UPDATE_IN_PROGRESS"
        threading.Timer(0.3, lambda: setattr(stack, "status", "UPDATE_COMPLETE")).start()
        PlatformStack().run(opened)
        told = capsys.readouterr().out
        assert "an operation is under way (UPDATE_IN_PROGRESS)" in told
        assert "CREATE_COMPLETE" in told
        assert inside.calls.read_text() == "cdk deploy --no-rollback --require-approval never\n"

    @pytest.mark.parametrize(
        ("status", "way_out"),
        [
            ("ROLLBACK_COMPLETE", "deploy/destroy.sh"),
            ("UPDATE_ROLLBACK_FAILED", "cdk rollback"),
            ("DELETE_FAILED", "deploy/destroy.sh"),
        ],
    )
    def test_a_state_that_cannot_be_updated_is_told_with_the_way_out(self, inside, deployment, world, status, way_out):
        world.stack().status = status
        with pytest.raises(DeployError, match=way_out):
            PlatformStack().run(deployment())
        assert inside.calls.read_text() == ""

    @pytest.mark.parametrize("status", ["CREATE_FAILED", "UPDATE_FAILED"])
    def test_after_a_failure_without_rollback_the_next_run_goes_on(self, inside, deployment, world, status, capsys):
        world.stack().status = status
        PlatformStack().run(deployment())
        assert "goes on from there" in capsys.readouterr().out
        assert "cdk deploy" in inside.calls.read_text()

    def test_a_failure_is_explained_by_the_stacks_own_events(self, inside, deployment, world):
        event = world.stack().events[-1]
        event.logical_resource_id, event.resource_type = "Topic", "AWS::SNS::Topic"
        event.resource_status, event.resource_status_reason = "CREATE_FAILED", "Maximum number of topics reached"
        inside.break_("cdk-deploy")
        with pytest.raises(DeployError) as failure:
            PlatformStack().run(deployment())
        assert "  Topic (AWS::SNS::Topic): Maximum number of topics reached\n    → A quota" in failure.value.problem

    def test_only_causes_are_shown_not_what_was_cancelled_after_them(self):
        def event(resource, reason, kind="AWS::S3::Bucket"):
            now = datetime.now(UTC)
            return Event(id="1", at=now, resource=resource, type=kind, status="CREATE_FAILED", reason=reason)

        shown = explained_failures(
            [
                event("A", "Resource creation cancelled"),
                event("B", "AccessDenied"),
                event("C", "odd"),
                event("S", "failed to create A, B", "AWS::CloudFormation::Stack"),
            ]
        )
        assert shown == (
            "  B (AWS::S3::Bucket): AccessDenied\n    → The credentials may not do this.\n  C (AWS::S3::Bucket): odd"
        )

    def test_a_watched_stack_tells_each_event_once(self, world):
        held = world.stack()
        held.status = "UPDATE_IN_PROGRESS"
        told = []
        threading.Timer(0.3, lambda: setattr(held, "status", "UPDATE_COMPLETE")).start()
        stack = Stack(world.client("cloudformation"), "sdoneksStack")
        began = time.monotonic()
        assert stack.watch(told.append, since=datetime.now(UTC) - timedelta(hours=1)) == "UPDATE_COMPLETE"
        assert time.monotonic() - began > 0.25
        assert len({event.id for event in told}) == len(told) > 0


class TestTheAccount:
    def session(self, region, arn):
        identity = SimpleNamespace(get_caller_identity=lambda: {"Arn": arn, "Account": "1"})
        return lambda region_name: SimpleNamespace(
            region_name=region_name or region,
            get_partition_for_region=lambda name: "aws-cn" if name.startswith("cn-") else "aws",
            client=lambda *_, **__: identity,
        )

    def test_credentials_of_another_partition_are_refused(self, monkeypatch):
        monkeypatch.setattr(account.boto3, "Session", self.session(None, "arn:aws:iam::1:user/me"))
        with pytest.raises(DeployError, match="is in partition aws-cn, the credentials are of aws"):
            Account.find("cn-northwest-1")

    def test_without_a_region_it_says_how_to_name_one(self, monkeypatch):
        monkeypatch.setattr(account.boto3, "Session", self.session(None, "arn:aws:iam::1:user/me"))
        with pytest.raises(DeployError, match="-R"):
            Account.find(None)

    def test_an_unknown_region_is_refused(self, inside):
        with pytest.raises(DeployError, match="no region nowhere-1"):
            Account.find("nowhere-1")


def _tagged(world, tags):
    snapshot = world.snapshot()
    tags = [{"Key": key, "Value": value} for key, value in tags.items()]
    world.client("ec2").create_tags(Resources=[snapshot], Tags=tags)
    return snapshot


def _with_image(snapshot, repository):
    """A file whose one runtime takes an image of its own, and starts from a snapshot."""
    return f"""
stackName: sdoneks
modelBucketArn: arn:aws:s3:::mine
modelsRuntime:
  - name: one
    namespace: one
    type: comfyui
    extraValues:
      karpenter: {{nodeTemplate: {{dataVolume: {{snapshotID: {snapshot}}}}}}}
      runtime: {{inferenceApi: {{image: {{repository: {repository}, tag: "7"}}}}}}
"""
