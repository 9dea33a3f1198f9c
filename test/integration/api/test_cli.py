"""The command ``sd``, as a process beside the API."""

import contextlib
import io
import json
import os
import re
import shlex
import signal
import stat
import subprocess
import sys
import threading
import time

import pytest

from contract.notice import JobError
from contract.signatures import webhook_headers, webhook_secret
from jobs import commands
from jobs.job import JobState, Progress
from sd_on_eks.cli import main
from test.kit.processes import HTTP, PATIENCE_S, ROOT, free_port
from test.kit.tasks import TASKTYPES

WORKFLOW = {"1": {"class_type": "EmptyImage", "inputs": {"width": 64}}, "2": {"class_type": "SaveImage", "inputs": {}}}


@pytest.fixture
def shell():
    return "api.asgi"


class Command:
    """Runs ``sd`` in a folder, for a user who has a URL and a key at the most."""

    def __init__(self, folder, monkeypatch, capsys):
        self.folder = folder
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        monkeypatch.chdir(folder)
        monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        self.connect(None, None)

    def connect(self, url, key="key"):
        for name, value in {"SD_URL": url, "SD_API_KEY": key}.items():
            self._monkeypatch.delenv(name, raising=False) if value is None else self._monkeypatch.setenv(name, value)

    @contextlib.contextmanager
    def process(self, *arguments):
        """Start a command as a process, which is killed at the end, or if it takes too long."""
        command = [sys.executable, "-P", "-m", "sd_on_eks", *map(str, arguments)]
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, **options) as process:
            watchdog = threading.Timer(PATIENCE_S, process.kill)
            watchdog.start()
            try:
                yield process
            finally:
                watchdog.cancel()
                process.kill()

    def __call__(self, *arguments, code=0, stdin=""):
        """Run a command that exits with ``code``; return what it wrote to stdout and stderr."""
        self._monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        self._capsys.readouterr()
        try:
            ended = main([str(one) for one in arguments])
        except SystemExit as exc:
            ended = exc.code
        out, err = self._capsys.readouterr()
        assert ended == code, f"{out}\n{err}"
        return out, err

    def json(self, *arguments, **options):
        """The lines of JSON that a command writes."""
        return [json.loads(line) for line in self(*arguments, "--json", **options)[0].splitlines()]


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    return Command(tmp_path, monkeypatch, capsys)


@pytest.fixture
def sd(api, command):
    command.connect(api.door.base)
    return command


def finish(api, job, state=JobState.SUCCEEDED, **ending):
    """Let a job end as an agent would."""
    api.rig.claim(api.rig.task(job=job))
    api.rig.update(commands.complete(job, "token", state, now_s=time.time(), attempts=1, **ending))


def test_a_prompt_becomes_a_picture_in_a_folder(kit, make_api, shell, command, tmp_path):
    with kit.rig("sdwebui") as rig:
        rig.add_pod().start()
        command.connect(make_api(rig, shell).door.base)
        sd = command
        out, err = sd("submit", "--runtime", rig.name, "--prompt", "a [red] cat", "--set", "steps=2", "--out", "here")
        (file,) = (tmp_path / "here").iterdir()
        assert out == f"here/{file.name}\n"
        assert "running" in err
        assert not re.search("\x1b|%|━", err)
        (job,) = sd.json("ls")
        assert sd("cp", job["job"], "there")[0] == f"there/{file.name}\n"
        assert (tmp_path / "there" / file.name).read_bytes() == file.read_bytes()
        assert sd.json("open", job["job"])[0]["file"].endswith(file.name)
        (ended,) = sd.json("retry", job["job"], "--set", "seed=7", "--wait")
        assert (ended["state"], ended["retry_of"]) == ("succeeded", job["job"])


@pytest.mark.parametrize("name", ["request.json", "content.json", "-"])
def test_a_request_a_content_or_stdin_is_submitted_with_its_changes(api, sd, name):
    body = api.body()
    given = body if name == "request.json" else body["content"]
    if name != "-":
        (sd.folder / name).write_text(json.dumps(given))
    options = [
        "--runtime",
        api.rig.name,
        "--id",
        "mine",
        "--set",
        "steps=3",
        "--set",
        "prompt=no JSON",
        "--set",
        "a.b=1",
    ]
    (job,) = sd.json("submit", name, *options, stdin=json.dumps(given))
    assert "content.a" in [one["pointer"] for one in job["warnings"]]
    assert (job["task_id"], job["type"]) == ("mine", TASKTYPES["sdwebui"])
    content = api.get(job["links"]["request"])["content"]
    assert content == {**body["content"], "steps": 3, "prompt": "no JSON", "a": {"b": 1}}


def test_a_workflow_is_submitted_as_a_pipeline(waiting_api, shell, command, tmp_path):
    api = waiting_api(shell, "comfyui")
    command.connect(api.door.base)
    sd = command
    (tmp_path / "workflow.json").write_text(json.dumps(WORKFLOW))
    (job,) = sd.json("submit", "workflow.json", "--runtime", api.rig.name, "--set", "1.inputs.width=128")
    content = api.get(job["links"]["request"])["content"]
    assert (job["type"], content["1"]["inputs"], content["2"]) == ("pipeline", {"width": 128}, WORKFLOW["2"])
    (job,) = sd.json("submit", "--runtime", api.rig.name, "--type", "pipeline",
                     *(f"--set={name}={json.dumps(node)}" for name, node in WORKFLOW.items()))  # fmt: skip
    assert api.get(job["links"]["request"])["content"] == WORKFLOW
    (listed,) = sd("runtimes")[0].splitlines()
    assert listed.split("\t")[:2] == [api.rig.name, "comfyui"]
    assert [one["name"] for one in sd.json("runtimes")] == [api.rig.name]
    assert "--set NODE" in sd("submit", "workflow.json", "--runtime", api.rig.name, "--prompt", "a", code=2)[1]


def test_jobs_are_listed_shown_explained_and_cancelled(api, sd):
    first, second = (api.submit(id=f"t-{number}")["job"] for number in (1, 2))
    out, _ = sd("ls")
    assert [line.split("\t")[:5] for line in out.splitlines()] == [
        [job, "queued", api.rig.name, TASKTYPES["sdwebui"], task] for job, task in ((second, "t-2"), (first, "t-1"))
    ]
    assert [job["job"] for job in sd.json("ls", "--id", "t-1")] == [first]
    assert len(sd.json("ls", "-n", "1")) == 1
    assert sd("why", second)[0] == (f"{second} queued\nIt is waiting: 1 job ahead of it; no server is ready.\n")
    assert "has no pictures yet" in sd("cp", first, "here", code=1)[1]
    assert sd("cancel", first)[0] == f"{first} cancelled\n"
    error = JobError(code="lost", message="The node went away.")
    finish(api, second, JobState.FAILED, error=error)
    out, _ = sd("why", second)
    assert out.startswith(f"{second} failed\nlost: The node went away.\nThe server's node went away")
    assert sd.json("why", second)[0]["error"]["code"] == "lost"
    assert "error     lost: The node went away." in sd("show", second)[0]
    assert "lost: The node went away." in sd("cp", second, "here", code=1)[1]
    assert sd.json("watch", second, code=1)[0]["state"] == "failed"


def test_following_a_job_elsewhere_than_on_a_terminal_writes_plain_lines(api, sd):
    job = api.submit()["job"]
    with sd.process("watch", job) as process:
        lines = iter(process.stderr.readline, "")
        assert [next(lines), next(lines)] == ["queued\n", "0 jobs ahead of it; no server is ready\n"]
        api.rig.claim(api.rig.task(job=job))
        assert next(lines) == "running\n"
        renewal = {"until_s": time.time() + 60, "start_by_s": time.time() + 90, "attempts": 0}
        progress = Progress(fraction=0.5, step=5, steps=10, stage="KSampler")
        api.rig.update(commands.renew(job, "token", **renewal, progress=progress))
        assert next(lines) == "KSampler\n"
        ending = {"now_s": time.time(), "attempts": 1, "pictures": ["png"]}
        api.rig.update(commands.complete(job, "token", JobState.SUCCEEDED, **ending))
        out, _ = process.communicate()
        assert (process.returncode, out.splitlines()[0]) == (0, f"{job}  succeeded")


def test_ctrl_c_leaves_the_job_and_says_how_to_find_it(api, sd):
    with sd.process("submit", "--runtime", api.rig.name, "--prompt", "a", "--wait") as process:
        assert process.stderr.readline() == "queued\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
        assert process.returncode == 130
    (job,) = sd.json("ls")
    assert job["state"] == "queued"
    assert f"The job keeps running. Follow it with `sd watch {job['job']}`" in err


def test_all_open_jobs_are_followed_until_there_are_none(api, sd):
    job = api.submit()["job"]
    with sd.process("watch") as process:
        assert process.stdout.readline().split("\t")[:2] == [job, "queued"]
        api.call("POST", f"/jobs/{job}/cancel", {})
        assert process.wait() == 0


def test_exit_codes_say_what_went_wrong(api, sd, tmp_path):
    (tmp_path / "text").write_text("no JSON")
    for arguments, words in (
        (["submit", "--prompt", "a"], "Which runtime"),
        (["submit", "--runtime", "r"], "nothing to draw"),
        (["submit", "nowhere"], "nowhere cannot be read"),
        (["submit", "text"], "text is not JSON"),
        (["submit", "--set", "seed"], "write KEY=VALUE"),
        (["dance"], "invalid choice"),
    ):
        assert words in sd(*arguments, code=2)[1], arguments
    _, err = sd("submit", "--runtime", "nowhere", "--prompt", "a", "--set", "steps=0", code=3)
    assert err == f'runtime "nowhere" is no runtime here; use {api.rig.name} (400 invalid_request)\n'
    assert "no such job" in sd("show", "no-job", code=3)[1]
    sd.connect(api.door.base, None)
    assert "SD_URL is set, but SD_API_KEY is not" in sd("ls", code=2)[1]


def test_a_key_is_saved_for_its_owner_alone_and_not_shown(api, command):
    assert "no key to save" in command("key", "--url", api.door.base, code=2)[1]
    out, _ = command("key", "--url", api.door.base, stdin="admin-key\n")
    assert "admin-key" not in out
    (file,) = (command.folder / "config" / "sd-on-eks").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert command.json("key") == [{"url": api.door.base, "source": str(file), "saved": None}]
    assert command.json("ls") == []


def test_the_readmes_programs_and_commands_run_as_printed(kit, make_api, shell, command):
    text = (ROOT / "clients" / "python" / "README.md").read_text(encoding="utf-8")
    secret = webhook_secret("x" * 32, "tenant", 1)
    body = b'{"type": "job.completed", "timestamp": "2026-01-01T00:00:00Z", "data": {"job": "1", "state": "failed"}}'
    headers = webhook_headers([secret], webhook_id="m", sent_s=time.time(), body=body)
    with kit.rig("sdwebui") as rig:
        rig.add_pod().start()
        command.connect(make_api(rig, shell).door.base)
        names = {"body": body, "headers": headers, "secret": secret}
        for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
            exec(code.replace("sdruntime", rig.name), names)
        with names["sd"] as sd:
            job = next(sd.list()).job
        (lines,) = re.findall(r"```bash\n(sd .*?)```", text, re.DOTALL)
        for line in lines.splitlines():
            words = shlex.split(line.replace("sdruntime", rig.name).replace("JOB", job), comments=True)
            if "comfyruntime" not in words and "listen" not in words:
                command(*words[1:])
        assert len([*(command.folder / "pictures").iterdir()]) == 3


def test_webhooks_are_printed_if_they_are_signed(command):
    secret, port = webhook_secret("x" * 32, "tenant", 1), free_port()
    with command.process("webhook", "listen", "--secret", secret, "--port", port) as process:
        assert process.stderr.readline() == f"Listening on http://127.0.0.1:{port}; press Ctrl-C to stop.\n"
        event = {"type": "job.completed", "timestamp": "2026-01-01T10:00:00Z", "data": {"job": "1", "state": "failed"}}
        body = json.dumps(event).encode()
        signed = webhook_headers([secret], webhook_id="m", sent_s=time.time(), body=body)
        answers = [HTTP.post(f"http://127.0.0.1:{port}/", content=body, headers=headers) for headers in (signed, {})]
        assert [answer.status_code for answer in answers] == [204, 401]
        assert process.stdout.readline() == "10:00:00  job.completed  1  failed\n"
        assert process.stderr.readline() == "Rejected: The webhook has no header webhook-id.\n"
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130


def test_a_priority_is_sent_and_rejected_where_the_runtime_has_one_queue(api, sd):
    _, err = sd("submit", "--runtime", api.rig.name, "--prompt", "a cat", "--priority", "high", code=3)
    assert "leave priority out" in err
