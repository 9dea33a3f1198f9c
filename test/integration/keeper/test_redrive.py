import contextlib
import json
from types import SimpleNamespace

import pytest

from contract.notice import JobError
from contract.queues import dead_letter
from deploy import redrive as command
from deploy.errors import DeployError
from deploy.redrive import Redrive
from jobs import commands
from jobs.job import JobState
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
        return [one.run(message, dry=dry).name.partition("_")[0].lower() for message in messages]

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
    assert redrive() == ["retry"]
    record = world.record(task)
    assert (record.state, record.redrives, record.attempts, record.error) == (JobState.QUEUED, 1, 0, None)
    assert record.due_s == pytest.approx(world.now_s + 3600, abs=0.01)
    [message] = world.aws.take(world.queue)
    assert (message["Body"], message["Attributes"]["MessageGroupId"]) == (task.to_message(), "t1")
    assert world.kept() == []
    world.claim(task, token="again")


def test_what_the_keeper_keeps_can_be_redriven(world, redrive):
    task = world.queued()
    world.handle(task)
    assert redrive() == ["retry"]
    assert bodies(world.aws.take(world.queue)) == [task.to_message()]


def test_a_foreign_message_keeps_its_envelope_and_so_its_job(world, bury, redrive, envelope):
    body = envelope(world.task(job=None).to_message())
    world.handle(body)
    job = world.new_notices()[0]["job"]
    assert redrive() == ["retry"]
    assert world.record(job).redrives == 1
    assert bodies(world.aws.take(world.queue)) == [body]


@pytest.mark.parametrize("state", [JobState.SUCCEEDED, JobState.CANCELLED])
def test_the_message_of_a_job_that_ended_otherwise_is_dropped_and_not_sent(world, bury, redrive, state):
    task = world.ended(state)
    bury(task)
    assert redrive() == ["drop"]
    assert world.record(task).state is state
    assert (world.kept(), world.aws.take(world.queue)) == ([], [])


def test_the_message_of_a_job_that_an_agent_has_is_left(world, bury, redrive):
    task = world.running()
    bury(task)
    assert redrive() == ["leave"]
    assert (len(world.kept()), world.aws.take(world.queue)) == (1, [])


def test_a_job_that_waits_for_its_message_gets_it(world, bury, redrive):
    waiting, abandoned = world.queued(start_s=9000), world.running()
    world.now_s += 1000
    for task in (waiting, abandoned):
        bury(task)
    assert redrive() == ["send", "send"]
    assert world.record(waiting).redrives == 0
    assert len(world.aws.take(world.queue)) == 2


def test_the_message_of_an_overdue_job_is_left_until_the_reaper_has_failed_it(world, bury, redrive):
    task = world.queued()
    bury(task)
    world.now_s += 3601
    assert redrive() == ["leave"]
    world.reap()
    assert redrive() == ["retry"]


def test_a_job_that_the_table_does_not_know_is_sent(world, bury, redrive):
    task = world.task()
    bury(task)
    assert redrive() == ["send"]
    assert bodies(world.aws.take(world.queue)) == [task.to_message()]


@pytest.mark.parametrize("body", ["no json", '{"metadata": {"schema": 99}}'])
def test_what_cannot_be_read_is_never_sent(world, bury, redrive, body):
    bury(body)
    assert redrive() == ["leave"]
    assert ([one[0] for one in world.kept()], world.aws.take(world.queue)) == ([body], [])


def test_of_two_messages_of_one_job_one_is_sent(world, bury, redrive):
    task = world.ended(JobState.FAILED, PROBLEM)
    bury(task)
    bury(task)
    assert redrive() == ["retry", "drop"]
    assert len(world.aws.take(world.queue)) == 1


def test_a_job_that_succeeds_just_before_it_would_be_begun_anew_is_not(world, bury, redrive):
    task = world.running()
    bury(task)
    finish = commands.complete(task.metadata.job, "token", JobState.SUCCEEDED, now_s=world.now_s, attempts=1)
    world.wire.meanwhile("UpdateItem", lambda: world.update(finish))
    assert redrive() == ["drop"]
    assert world.record(task).state is JobState.SUCCEEDED


def test_a_dry_run_changes_nothing(world, bury, redrive):
    task = world.ended(JobState.FAILED, PROBLEM)
    before = world.record(task)
    bury(task)
    assert redrive(dry=True) == ["retry"]
    assert world.record(task) == before
    assert world.aws.take(world.queue) == []


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


def test_a_queue_that_leads_nowhere_has_no_dead_queue(world):
    with pytest.raises(DeployError, match="no redrive policy"):
        Redrive(world.aws.sqs, world.dead_queue, world.store, start_s=3600)


class TestCommand:
    @pytest.fixture
    def regions(self):
        """The regions that the command worked in."""
        return []

    @pytest.fixture
    def run(self, world, regions, monkeypatch, capsys):
        """The command on the world's queues: its exit code and what it printed."""

        def session(region_name):
            regions.append(region_name)
            return SimpleNamespace(client=lambda service: world.watched_clients[service])

        monkeypatch.setattr(command, "boto3", SimpleNamespace(Session=session))

        def run(*arguments, runtime=world.name, **environ):
            code = command.main([runtime, *arguments], {"JOBS_TABLE": world.store.table, **environ})
            return code, *capsys.readouterr()

        return run

    def test_it_shows_what_lies_there_and_changes_nothing_unless_told_to(self, world, bury, run):
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
        assert len(world.kept()) == 2

    def test_it_begins_the_chosen_jobs_anew_and_leaves_the_others_visible(self, world, bury, run):
        chosen, other = (world.ended(JobState.FAILED, PROBLEM) for _ in range(2))
        for task in (chosen, other):
            bury(task)
        code, out, err = run("--job", chosen.metadata.job, "--job", "elsewhere")
        assert (code, f"{chosen.metadata.job}  retried" in out) == (0, True)
        assert "elsewhere  is not in the dead queue" in err
        assert world.record(other).state is JobState.FAILED
        assert [one[0] for one in world.kept()] == [other.to_message()]

    def test_it_begins_all_anew(self, world, bury, run):
        for _ in range(12):
            bury(world.ended(JobState.FAILED, PROBLEM))
        assert run("--all", "--dry-run")[1].count("(not done: --dry-run)") == 12
        assert run("--all")[1].count("retried") == 12
        assert (len(world.aws.take(world.queue)), world.kept()) == (12, [])

    def test_it_says_that_messages_are_hidden(self, world, bury, run):
        bury(world.task())
        world.aws.sqs.receive_message(QueueUrl=world.dead_queue)
        assert "0 messages in the dead queue, 1 more hidden" in run()[1]

    def test_without_a_queue_of_that_name_it_says_how_to_name_one(self, world, run):
        world.aws.sqs.delete_queue(QueueUrl=world.queue)
        code, _, err = run()
        assert (code, "--queue-url URL" in err) == (1, True)

    def test_without_a_table_it_says_how_to_name_one(self, run):
        code, _, err = run(JOBS_TABLE="")
        assert (code, "--table NAME" in err) == (1, True)

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

    def test_it_works_in_the_region_that_the_aws_cli_would(self, run, regions, monkeypatch):
        monkeypatch.setenv("AWS_REGION", "eu-west-3")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        run()
        assert regions == ["eu-west-3"]

    def test_without_a_local_platform_it_says_how_to_start_one(self, run, tmp_path):
        code, _, err = run(LOCAL="1", STACK_FILE=str(tmp_path / "stack.json"))
        assert (code, "make up" in err) == (1, True)

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
