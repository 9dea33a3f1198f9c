"""The files of a demo and the page that shows them."""

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from configuration.config import parse_config
from deploy.verify.pictures import DrawnPicture
from deploy.verify.samples import InputLinks, Sample, make_request
from deploy.verify.verification import SampleOutcome
from local.sheet import DemoOutput

CONFIG = {
    "stackName": "s",
    "modelBucketArn": "arn:aws:s3:::models",
    "modelsRuntime": [
        {"name": "one", "namespace": "a", "type": "sdwebui", "dynamicModel": True},
        {"name": "flows", "namespace": "b", "type": "comfyui"},
    ],
}
PNG = b"\x89PNG\r\n\x1a\n"


def outcome(name: str = "t2i", version: str = "v1alpha2", runtime: str = "one", **changes: Any) -> SampleOutcome:
    request = make_request(
        Sample(
            file=next(Path("runtimes").glob(f"[!f]*/samples/{version}/{name}.json")),
            api_version=version,
            runtime=runtime,
        ),
        InputLinks(s3="s3://gone/x", http="http://gone/x"),
    )
    picture = DrawnPicture(url="s3://b/x.png", extension="png", content=PNG)
    return SampleOutcome(request=request, **{"seconds": 1.25, "pictures": (picture,)} | changes)


def output(out: Path, asked: int = 1) -> DemoOutput:
    return DemoOutput(out, parse_config(CONFIG), asked=asked, platform="make up")


class Page(HTMLParser):
    """What a browser would load and show."""

    def __init__(self, file: Path | None) -> None:
        super().__init__()
        assert file is not None
        self.links: list[str] = []
        self.open_runs: list[bool] = []
        self.text = ""
        self.feed(file.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.links += [str(found[name]) for name in ("src", "href") if name in found]
        if tag == "details":
            self.open_runs.append("open" in found)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_every_run_has_a_directory_of_its_own_and_the_page_shows_all_and_skips_files_of_others(tmp_path: Path) -> None:
    for number, content in enumerate(["", "[]", "{}", '{"started": 1}']):
        (tmp_path / f"other-{number}").mkdir()
        (tmp_path / f"other-{number}" / "run.json").write_text(content)
    (tmp_path / "picture.png").write_bytes(PNG)
    for _ in range(3):
        one = output(tmp_path)
        one.save(outcome())
        index = one.write_sheet()
    assert index == tmp_path / "index.html"
    assert len({file.parent for file in tmp_path.glob("*/t2i.png")}) == 3
    page = Page(index)
    assert page.open_runs == [True, False, False]
    assert len(page.links) == 3 * 3  # the picture, the link around it, and the request
    assert all((tmp_path / link).is_file() for link in page.links)


def test_a_card_has_prompt_seconds_and_a_command_that_posts_the_request_again_to_make_up(tmp_path: Path) -> None:
    one = output(tmp_path)
    one.save(outcome("i2i"))
    page = Page(one.write_sheet())
    file = one.directory / "i2i.json"
    for words in ("image-to-image", "wizard", "1.2 s", "while make up runs", "http://127.0.0.1:8000/dev/v1alpha2"):
        assert words in page.text
    assert f"-d @{file}" in page.text
    task = json.loads(file.read_text())["task"]
    assert task["metadata"]["runtime"] == "one"
    assert task["content"]["init_images"] == ["s3://sd-on-eks-output/verify/input.png"]


@pytest.mark.parametrize(
    ("sample", "prompt"),
    [
        (("pipeline", "v1alpha2", "flows"), "beautiful scenery"),
        (("i2i", "v1alpha1"), "cat wizard"),
        (("extra-single-image",), ""),
    ],
)
def test_prompts_of_workflows_and_of_the_old_api_are_found(tmp_path: Path, sample: Any, prompt: str) -> None:
    one = output(tmp_path)
    one.save(outcome(*sample))
    assert one.entries[0]["prompt"][: len(prompt) or None] == prompt


def test_a_failure_and_what_was_interrupted_are_told(tmp_path: Path) -> None:
    one = output(tmp_path, asked=3)
    one.save(outcome(pictures=(), seconds=None, problem="the <b>server</b> broke"))
    one.save(outcome("i2i"))
    page = Page(one.write_sheet())
    assert "the <b>server</b> broke" in page.text
    assert "1 of 3 requests drawn, 1 interrupted" in page.text
