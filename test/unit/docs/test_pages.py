import json
import re
from pathlib import Path

import pytest

from api.content import content_errors
from api.faces import v1alpha1, v1alpha2
from configuration import gateway
from contract.notice import Notice
from keeper import exhausted, reaper
from queue_agent import errors
from runtimes.catalog import DeployedRuntime, RuntimeCatalog

ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(page for room in ("docs", "charts", "utils") for page in ROOT.glob(f"{room}/**/*.md"))]
)
API = (ROOT / "docs/api.md").read_text(encoding="utf-8")
CATALOG = RuntimeCatalog(
    [
        DeployedRuntime(name="sdruntime", type="sdwebui", model_filename="v1-5-pruned-emaonly.safetensors"),
        DeployedRuntime(name="comfyruntime", type="comfyui"),
    ]
)
NOT_IN_NOTICES = {
    "agent_error",
    "task_failed",
    "temporary_failure",
    "lease_lost",
    "throttled",
    "still_running",
    "service_away",
}


def values(text):
    return [json.loads(block) for block in re.findall(r"^```json\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)]


def section(heading):
    level = "#" * heading.count("#")
    return re.split(rf"^#{{1,{len(level)}}} ", API.partition(f"\n{heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def anchors(page):
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_within_the_checkout_leads_somewhere_and_every_json_is_json(page):
    text = page.read_text(encoding="utf-8")
    values(text)
    prose = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if target.startswith("http"):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


@pytest.mark.parametrize(("heading", "face"), [("### v1alpha1", v1alpha1), ("### v1alpha2", v1alpha2)])
def test_the_door_accepts_the_request_shown_and_answers_with_the_fields_shown(heading, face):
    request, answer = values(section(heading))
    assert face.answer(face.read(request, CATALOG), "s3://…").keys() == answer.keys()


@pytest.mark.parametrize(
    "task_type", ["text-to-image", "image-to-image", "extra-single-image", "extra-batch-images", "pipeline"]
)
def test_the_door_accepts_the_contents_shown_for_each_task_type(task_type):
    runtime = CATALOG.find("comfyruntime" if task_type == "pipeline" else "sdruntime")
    contents = values(section(f"### {task_type}"))
    assert contents
    for content in contents:
        assert not list(content_errors(content, task_type, runtime, ()))


def test_the_notices_shown_have_every_field_of_a_notice_and_no_other():
    succeeded, failed = values(section("## Notices"))
    assert json.loads(Notice.model_validate(succeeded).to_message()) == succeeded
    assert json.loads(Notice.model_validate(failed).to_message()) == failed
    assert failed.keys() == {name for name, field in Notice.model_fields.items() if not field.exclude}


def test_every_error_code_of_a_notice_is_explained_and_no_other():
    raised = {one.code for one in vars(errors).values() if isinstance(one, type) and issubclass(one, errors.AgentError)}
    raised |= {errors.UNREADABLE_CODE, exhausted.UNDELIVERABLE.code, reaper.CANCELLED.code, reaper.lost(0).code}
    assert set(re.findall(r"^\| `(\w+)` \|", section("### Error codes"), re.MULTILINE)) == raised - NOT_IN_NOTICES


def test_every_error_code_of_the_door_is_explained_and_no_other():
    code = re.compile(r'(?:RequestError\(|error_body\(|__init__\()\s*(?:\d+, )?"(\w+)"')
    refused = {match for path in ROOT.glob("api/**/*.py") for match in code.findall(path.read_text(encoding="utf-8"))}
    refused |= {one.code for one in vars(gateway).values() if isinstance(one, gateway.GatewayError)}
    assert set(re.findall(r"^\| \d{3}[, \d]* \| `(\w+)`", section("## Refusals"), re.MULTILINE)) == refused
