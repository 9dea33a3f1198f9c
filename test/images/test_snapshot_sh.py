"""snapshot.sh from end to end, against an AWS CLI that records its calls and plays the instance's life."""

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from configuration.platform import Cluster

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "utils" / "bottlerocket-images-cache" / "snapshot.sh"
IMAGES = ["111122223333.dkr.ecr.eu-west-1.example/sd-on-eks/sdwebui@sha256:" + "a" * 64, "public.example/agent:1.0"]
SNAPSHOT = "snap-0123456789abcdef0"
STEPS = 16
"""Calls of a run with two images in which nothing has to be waited for twice."""

# Each state is asked for twice before it is there; a stack that is deleted does not exist any more.
AWS = f"""
def state(name): return HOME / name
def progress(before, after):
    asked = state("asked-" + operation)
    print(after if asked.exists() or not os.environ.get("SLOW") else before)
    asked.touch()
if len((HOME / "calls.jsonl").read_text().splitlines()) == int(os.environ.get("FAIL_AT", "0")):
    sys.exit("An error occurred (AccessDenied)")
operation = ARGUMENTS[1]
query = ARGUMENTS[ARGUMENTS.index("--query") + 1] if "--query" in ARGUMENTS else ""
SAID = {{
    "describe-subnets": os.environ.get("SUBNETS", "4"),
    "describe-stack-events": "Instance  no default VPC",
    "send-command": "command-1",
    "get-command-invocation": "manifest unknown",
}}
STATES = {{
    "describe-instance-information": ("None", "Online"),
    "list-command-invocations": ("InProgress", os.environ.get("PULL", "Success")),
    "describe-instances": ("stopping", "stopped"),
    "describe-snapshots": ("pending", os.environ.get("SNAPSHOT_STATE", "completed")),
}}
if "--owner-ids" in ARGUMENTS:
    print("{SNAPSHOT}" if state("snapshot").exists() else "")
elif operation == os.environ.get("STUCK"):
    print("pending")
elif operation == "describe-stacks":
    if not state("stack").exists():
        sys.exit("An error occurred (ValidationError): Stack with id x does not exist")
    if "Outputs" in query:
        print("i-0abc")
    else:
        progress("CREATE_IN_PROGRESS", os.environ.get("STACK_STATE", "CREATE_COMPLETE"))
elif operation in ("create-stack", "create-snapshot"):
    state(operation.removeprefix("create-")).touch()
    if operation == "create-snapshot":
        if os.environ.get("HANGS"):
            import time
            time.sleep(60)
        print("{SNAPSHOT}")
elif operation in ("delete-stack", "delete-snapshot"):
    state(operation.removeprefix("delete-")).unlink(missing_ok=True)
elif "VolumeId" in query:
    print("vol-0abc")
elif operation in STATES:
    progress(*STATES[operation])
else:
    print(SAID.get(operation, ""))
"""


class Cache:
    """snapshot.sh and the fake it talks to."""

    def __init__(self, programs):
        self.programs = programs
        programs.add("aws", AWS)

    def calls(self, operation):
        return [call["arguments"] for call in self.programs.calls if call["arguments"][1] == operation]

    def start(self, *arguments, **environ):
        return subprocess.Popen(
            [SCRIPT, *arguments],
            env=self.programs.environ(POLL_SECONDS="0.05", **environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def wait_for(self, operation, times=1):
        deadline = time.monotonic() + 60
        while self.operations.count(operation) < times:
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def run(self, *arguments, **environ):
        process = self.start(*arguments, **environ)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err

    @property
    def operations(self):
        return [call["arguments"][1] for call in self.programs.calls]

    @property
    def left(self):
        return {name for name in ("stack", "snapshot") if (self.programs.home / name).exists()}


@pytest.fixture
def cache(programs):
    return Cache(programs)


def test_a_snapshot_of_all_images_is_left_and_nothing_else(cache):
    """Each image is pulled by Bottlerocket's own program, without a password, and named in a tag."""
    assert cache.run(",".join(IMAGES), SLOW="yes")[:2] == (0, f"Snapshot: {SNAPSHOT}\n")
    assert cache.left == {"snapshot"}
    order = cache.operations
    # The volume is read only after the instance has stopped, which is asked for more than once.
    assert order.index("send-command") < order.index("stop-instances") < order.index("create-snapshot") - 2
    commands = [json.loads(words[words.index("--parameters") + 1])["commands"] for words in cache.calls("send-command")]
    assert [re.search(r"host-ctr .*pull-image --source=(\S+) ", command)[1] for (command,) in commands] == IMAGES
    assert not re.search(r"(?i)password|get-login|authorization|--user|secret", json.dumps(cache.programs.calls))
    [made] = cache.calls("create-snapshot")
    specification = made[made.index("--tag-specifications") + 1]
    for number, image in enumerate(IMAGES, start=1):
        assert f"{{Key=image-{number},Value={image}}}" in specification
    assert len(made[made.index("--description") + 1]) < 255


DAEMONSETS = {
    "aws-node": [
        "602401143452.dkr.ecr.eu-west-1.example/amazon-k8s-cni:v1.20",
        "602401143452.dkr.ecr.eu-west-1.example/agent:v1",
    ],
    "fluent-bit-windows": ["public.example/fluent-bit:windows"],
    "kube-proxy": ["602401143452.dkr.ecr.eu-west-1.example/agent:v1"],
    "own": [IMAGES[1]],
}


def test_images_of_the_clusters_daemonsets_are_pulled_too_each_once_and_none_for_windows(cache):
    lines = "".join(f"{name} {' '.join(images)}\\n" for name, images in DAEMONSETS.items())
    cache.programs.add("kubectl", f"print('{lines}', end='')")
    assert cache.run("--daemonsets", ",".join(IMAGES))[0] == 0
    commands = json.dumps(cache.calls("send-command"))
    assert re.findall(r"--source=(\S+) ", commands) == [*IMAGES, *sorted(DAEMONSETS["aws-node"])]
    [listed] = [call["arguments"] for call in cache.programs.calls if call["program"] == "kubectl"]
    assert listed[:3] == ["get", "daemonsets", "--all-namespaces"]


def test_nothing_is_launched_where_the_daemonsets_cannot_be_listed(cache):
    cache.programs.add("kubectl", "sys.exit(1)")
    code, _, words = cache.run("--daemonsets", ",".join(IMAGES))
    assert code == 1
    assert "kubectl could not list the DaemonSets" in words
    assert cache.calls("create-stack") == []


def test_the_template_is_correct_and_its_role_may_pull_and_be_commanded_and_nothing_else():
    file = SCRIPT.parent / "snapshot.yaml"
    linted = subprocess.run([ROOT / ".venv" / "bin" / "cfn-lint", file], capture_output=True, text=True, check=False)
    assert (linted.returncode, linted.stdout) == (0, "")
    template = file.read_text()
    assert set(re.findall(r"\becr:\w+", template)) == {
        *("ecr:GetAuthorizationToken", "ecr:BatchCheckLayerAvailability"),
        *("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"),
    }
    assert re.findall(r"iam::aws:policy/(\S+)\"", template) == ["AmazonSSMManagedInstanceCore"]


@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_whatever_call_fails_no_more_stays_than_a_finished_snapshot(cache, step):
    code, out, err = cache.run(*IMAGES, FAIL_AT=str(step))
    if SNAPSHOT in out:
        # Only the cleaning up was disturbed: it either went on, or says what is left.
        assert code == 0 or "delete it by hand" in err
        assert cache.left <= ({"snapshot"} if code == 0 else {"snapshot", "stack"})
    else:
        assert code != 0
        assert cache.left == set()


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"STACK_STATE": "ROLLBACK_COMPLETE"}, "no default VPC"),
        ({"PULL": "Failed"}, "manifest unknown"),
        ({"SNAPSHOT_STATE": "error"}, "the snapshot failed"),
    ],
)
def test_a_failed_step_says_why_and_leaves_nothing(cache, environ, words):
    code, out, err = cache.run(*IMAGES, **environ)
    assert (code, out, words in err) == (1, "", True)
    assert cache.left == set()


@pytest.mark.parametrize(
    ("number", "stuck"),
    [
        (signal.SIGTERM, "describe-instance-information"),
        (signal.SIGINT, "list-command-invocations"),
        (signal.SIGTERM, "describe-snapshots"),
    ],
)
def test_a_signal_in_mid_run_leaves_nothing(cache, stuck, number):
    process = cache.start(*IMAGES, STUCK=stuck)
    cache.wait_for(stuck, times=2)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (128 + number, ""), err
    assert cache.left == set()


def test_a_snapshot_whose_id_was_never_heard_is_deleted_too(cache):
    """Ctrl-C goes to the AWS CLI as well, which dies without a word."""
    process = cache.start(*IMAGES, HANGS="yes")
    cache.wait_for("create-snapshot")
    while "snapshot" not in cache.left:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert cache.left == set()


PLACE = f"/aws/service/bottlerocket/aws-k8s-{Cluster().version}"


@pytest.mark.parametrize(
    ("options", "subnets", "parameters"),
    [
        ([], 4, {"InstanceType": "m6i.large", "Encrypted": "false", "KmsKey": "", "Size": "80", "Role": ""}),
        ([], 4, {"Subnet": "", "Network": "default", "Ami": f"{PLACE}/x86_64/latest/image_id"}),
        (["-A", "arm64"], 4, {"InstanceType": "m6g.large", "Ami": f"{PLACE}/arm64/latest/image_id"}),
        (["--arch", "arm64", "-i", "m7g.xlarge", "-e"], 4, {"InstanceType": "m7g.xlarge", "Encrypted": "true"}),
        (["-k", "alias/mine", "-s", "200"], 4, {"Encrypted": "true", "KmsKey": "alias/mine", "Size": "200"}),
        (["-R", "my-role", "-a", "/my/ami"], 4, {"Role": "my-role", "Ami": "/my/ami"}),
        # Without a default subnet the instance gets a network of its own, unless one is named.
        (["--subnet-id", "subnet-1"], 0, {"Subnet": "subnet-1", "Network": "default"}),
        ([], 0, {"Subnet": "", "Network": "own"}),
    ],
)
def test_an_option_reaches_the_instance_and_the_region_every_call(cache, options, subnets, parameters):
    cache.programs.add("aws", 'assert os.environ["AWS_REGION"] == "eu-west-1"\n' + AWS)
    assert cache.run("-q", "-r", "eu-west-1", *options, *IMAGES, SUBNETS=str(subnets)) == (0, f"{SNAPSHOT}\n", "")
    # As many as the failures that are tried above; a subnet that is named is not looked for.
    assert len(cache.operations) == STEPS - ("--subnet-id" in options)
    [made] = cache.calls("create-stack")
    assert {f"ParameterKey={name},ParameterValue={value}" for name, value in parameters.items()} <= set(made)


def test_the_way_out_outlives_the_instance():
    """Each part of the network is before the instance in the order of creation, hence after it in that of deletion."""
    template = (SCRIPT.parent / "snapshot.yaml").read_text()
    parts = re.findall(r"\n  (\w+):\n    Type: \S+\n    Condition: MakesNetwork", template)
    reached = {"Instance"}
    for _ in parts:
        for name, body in re.findall(r"\n  (\w+):\n    Type: AWS::EC2((?:.|\n)*?)(?=\n\n)", template):
            if name in reached:
                reached |= {part for part in parts if re.search(rf"(!Ref|DependsOn:) {part}\b", body)}
    assert len(parts) == 7
    assert set(parts) <= reached


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name at least one image"),
        (["-A", "mips", "a:1"], "neither amd64 nor arm64"),
        (["-s", "big", "a:1"], "no number of GiB"),
        (["-x", "a:1"], "no option -x"),
        (["a:1", "-r"], "-r needs a value"),
        (['a:1","rm -rf /'], "is no image"),
        (["a:1;reboot"], "is no image"),
    ],
)
def test_a_wrong_command_line_is_refused_before_anything_is_made(cache, arguments, words):
    code, out, err = cache.run(*arguments)
    assert (code, out, words in err) == (1, "", True)
    assert cache.operations == []


def test_help_names_every_option(cache):
    code, out, _ = cache.run("--help")
    assert code == 0
    assert all(f" -{short}, --" in out for short in "rAaieksRqh")
