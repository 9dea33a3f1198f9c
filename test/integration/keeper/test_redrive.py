import contextlib
import json
from types import SimpleNamespace

import pytest

from contract.notice import JobError
from contract.queues import Priority, dead_letter
from deploy import redrive as command
from deploy.redrive import Redrive
from jobs import commands, queries
from jobs.job import JobState
from jobs.schema import QUEUE_SHARDS
from jobs.store import JobStore
from test.kit.wire import DiedError

PROBLEM = JobError(code="model_server_failed", message="away")


@pytest.fixture(autouse=True)
def short_polls(monkeypatch):
    monkeypatch.setattr(command, "_WAIT_S", 0)


@pytest.fixture
def redrive(world):
    """Redrives all that lies in the dead queue; what was done with each message."""

    def run(*, dry=False):
        clients = world.watched_clients
        jobs = JobStore(clients["dynamodb"], world.store.table)
        one = Redrive(clients["sqs"], world.queue, jobs, start_s=3600, clock=lambda: world.now_s)
        messages = list(one.read())
        return [one.run(message, dry=dry).partition(":")[0] for message in messages]

    world.wire.clear()
    return run


@pytest.fixture
def bury(world):
    def put(body):
        body = body if isinstance(body, str) else body.to_message()
        world.aws.sqs.send_message(QueueUrl=world.dead_queue, **dead_letter(body, PROBLEM.code, PROBLEM.message))

    return put


def show_hidden(world):
    """Let the visibility of what a killed process had read come to its end."""
    for receipt in world.wire.receipts:
        with contextlib.suppress(world.aws.sqs.exceptions.ClientError):  # deleted
            world.aws.sqs.change_message_visibility(
                QueueUrl=world.dead_queue, ReceiptHandle=receipt, VisibilityTimeout=0
            )


def bodies(messages):
    return [message["Body"] for message in messages]


def test_a_failed_job_is_begun_anew_and_its_message_sent_in_its_tenants_group(world, bury, redrive):
    task = world.ended(JobState.FAILED, PROBLEM, told=True, tenant="t1")
    bury(task)
    before = world.record(task)
    assert redrive(dry=True) == ["retried"]
    assert (world.record(task), world.aws.take(world.queue)) == (before, [])
    show_hidden(world)
    assert redrive() == ["retried"]
    record = world.record(task)
    assert (record.state, record.redrives, record.attempts, record.error) == (JobState.QUEUED, 1, 0, None)
    assert record.due_s == pytest.approx(world.now_s + 3600, abs=0.01)
    [message] = world.aws.take(world.queue)
    assert (message["Body"], message["Attributes"]["MessageGroupId"]) == (task.to_message(), "t1")
    assert world.kept() == []
    world.claim(task, token="again")


def test_a_foreign_message_keeps_its_envelope_and_so_its_job(world, bury, redrive, envelope):
    body = envelope(world.task(job=None).to_message())
    world.handle(body)
    job = world.new_notices()[0]["job"]
    assert redrive() == ["retried"]
    assert world.record(job).redrives == 1
    assert bodies(world.aws.take(world.queue)) == [body]


def abandoned(world):
    """A job whose agent has vanished."""
    world.now_s -= 1000
    task = world.running()
    world.now_s += 1000
    return task


@pytest.mark.parametrize(
    ("make", "decisions"),
    [
        (lambda world: [world.ended(JobState.SUCCEEDED), world.ended(JobState.CANCELLED)], ["dropped"] * 2),
        (lambda world: [world.running()], ["left"]),
        (lambda world: [world.queued(), abandoned(world), world.task()], ["sent"] * 3),
        (lambda world: [world.queued(start_s=-10)], ["left"]),  # the keeper is about to fail it
        (lambda _: ["no json", '{"metadata": {"schema": 99}}'], ["left"] * 2),
        (lambda world: [world.ended(JobState.FAILED, PROBLEM)] * 2, ["retried", "dropped"]),
    ],
)
def test_a_message_is_sent_if_its_job_waits_for_it_and_left_if_it_may_still_be_needed(
    world, bury, redrive, make, decisions
):
    for body in make(world):
        bury(body)
    assert redrive() == decisions
    assert len(world.kept()) == decisions.count("left")
    assert len(world.aws.take(world.queue)) == sum(one in {"sent", "retried"} for one in decisions)


def test_a_job_that_succeeds_just_before_it_would_be_begun_anew_is_not(world, bury, redrive):
    task = world.running()
    bury(task)
    finish = commands.complete(task.metadata.job, "token", JobState.SUCCEEDED, now_s=world.now_s, attempts=1)
    world.wire.meanwhile("UpdateItem", lambda: world.update(finish))
    assert redrive() == ["dropped"]
    assert world.record(task).state is JobState.SUCCEEDED


def test_after_a_crash_between_any_two_steps_a_second_run_sends_the_job_and_begins_it_anew_once(world, bury, redrive):
    step, crashed = 0, True
    while crashed:
        step += 1
        task = world.ended(JobState.FAILED, PROBLEM, told=True)
        bury(task)
        world.wire.clear()
        world.wire.die_before(step)
        crashed = False
        try:
            redrive()
        except DiedError:
            crashed = True
            show_hidden(world)
            redrive()
        record = world.record(task)
        assert (record.state, record.redrives) == (JobState.QUEUED, 1), step
        assert len(world.aws.take(world.queue)) in {1, 2}, step
        show_hidden(world)
        assert world.kept() == [], step
    assert step > 7


class TestCommand:
    @pytest.fixture
    def run(self, world, monkeypatch, capsys):
        """The command on the world's queues: its exit code and what it printed."""
        monkeypatch.setenv("AWS_REGION", "eu-west-3")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")

        def session(region_name):
            assert region_name == "eu-west-3"  # as the AWS CLI has it
            return SimpleNamespace(client=lambda service: world.watched_clients[service])

        monkeypatch.setattr(command, "boto3", SimpleNamespace(Session=session))

        def run(*arguments, runtime=world.name, **environ):
            code = command.main([runtime, *arguments], {"JOBS_TABLE": world.store.table, **environ})
            return code, *capsys.readouterr()

        return run

    @pytest.mark.parametrize(
        ("runtime", "environ", "words"),
        [
            ("absent", {}, "--queue-url URL"),
            ("dead", {}, "no redrive policy"),
            ("", {"JOBS_TABLE": ""}, "--table NAME"),
            ("", {"LOCAL": "1", "STACK_FILE": "absent.json"}, "make up"),
        ],
    )
    def test_what_it_cannot_find_is_said_with_what_helps(self, world, run, runtime, environ, words):
        code, _, err = run(runtime=f"{world.name}-{runtime}".rstrip("-"), **environ)
        assert (code, words in err) == (1, True)

    def test_it_shows_what_is_there_and_retries_the_chosen_jobs_alone(self, world, bury, run):
        task = world.ended(JobState.FAILED, PROBLEM)
        bury(task)
        bury("no json")
        code, out, _ = run()
        assert code == 0
        lines = out.splitlines()
        assert lines[0].split() == ["Job", "Task", "Age", "Code", "Reason"]
        assert lines[1].split() == [task.metadata.job, "a", "0.0", "h", "model_server_failed", "away"]
        assert lines[2].split()[:2] == ["-", "-"]
        assert lines[3] == "2 messages in the dead queue"
        assert world.record(task).state is JobState.FAILED
        code, out, err = run("--job", task.metadata.job, "--job", "elsewhere")
        assert (code, f"{task.metadata.job}  retried" in out) == (0, True)
        assert "elsewhere  is not in the dead queue" in err
        assert [one[0] for one in world.kept()] == ["no json"]
        bury("no json")
        world.aws.sqs.receive_message(QueueUrl=world.dead_queue)
        assert "0 messages in the dead queue, 1 more hidden" in run()[1]

    def test_it_begins_all_anew(self, world, bury, run):
        for _ in range(12):
            bury(world.ended(JobState.FAILED, PROBLEM))
        assert run("--all", "--dry-run")[1].count("(not done: --dry-run)") == 12
        assert run("--all")[1].count("retried") == 12
        assert (len(world.aws.take(world.queue)), world.kept()) == (12, [])

    def test_a_deployed_runtimes_queue_and_table_are_found_by_the_stacks_name(self, world, bury, run, monkeypatch):
        deployed = world.aws.make_queue(f"{world.name}-web", redrive_to=f"{world.name}-dead")
        stacks = {world.name: [{"OutputKey": "JobsTable", "OutputValue": world.store.table}]}
        cloudformation = SimpleNamespace(
            describe_stacks=lambda **at: {"Stacks": [{"Outputs": stacks[at["StackName"]]}]}
        )
        monkeypatch.setitem(world.watched_clients, "cloudformation", cloudformation)
        task = world.ended(JobState.FAILED, PROBLEM)
        bury(task)
        assert run("--all", runtime="web", STACK_NAME=world.name, JOBS_TABLE="")[0] == 0
        assert bodies(world.aws.take(deployed)) == [task.to_message()]

    def test_locally_it_finds_the_table_in_stack_json_and_lets_nothing_of_a_real_account_in(
        self, world, bury, run, tmp_path
    ):
        stack = tmp_path / "stack.json"
        stack.write_text(json.dumps({"JobsTable": world.store.table, "Environment": {"AWS_REGION": "us-east-1"}}))
        bury(world.ended(JobState.FAILED, PROBLEM))
        assert "retried" in run("--all", LOCAL="1", STACK_FILE=str(stack), JOBS_TABLE="wrong")[1]

    def test_a_job_that_cannot_be_begun_is_reported_and_its_message_left(self, world, bury, run):
        bury(world.ended(JobState.FAILED, PROBLEM))
        code, _, err = run("--all", "--table", "nowhere")
        assert (code, "ResourceNotFoundException" in err) == (1, True)
        assert len(world.kept()) == 1


@pytest.mark.parametrize("has_priorities", [True, False])
def test_a_message_goes_back_to_the_queue_of_its_priority_or_to_the_only_one(make_world, has_priorities):
    world = make_world(priorities=has_priorities)
    task = world.ended(JobState.FAILED, PROBLEM, told=True, priority="low")
    letter = dead_letter(task.to_message(), PROBLEM.code, PROBLEM.message)
    world.aws.sqs.send_message(QueueUrl=world.dead_queue, **letter)
    redrive = Redrive(world.watched_clients["sqs"], world.queue, world.store, start_s=3600, clock=lambda: world.now_s)
    [message] = redrive.read()
    assert redrive.run(message) == "retried"
    queue = world.queues.get(Priority.LOW, world.queue)
    assert bodies(world.aws.take(queue)) == [task.to_message()]
    waiting = [queries.waiting(world.name, shard, priority=Priority.LOW, most=10) for shard in QUEUE_SHARDS]
    assert sum(map(world.store.run, waiting)) == 1
