"""The programs of the pages about other APIs' clients run as they are printed."""

import re
import shutil
from urllib.parse import urlsplit

import pytest

from test.kit.processes import ROOT

BLOCK = re.compile(r"^```(python|js)\n(.*?)^```", re.MULTILINE | re.DOTALL)
BLOCKS = [
    pytest.param(language, code, id=f"{page}:{number}")
    for page in ("docs/how-to/use-the-openai-client.md", "docs/dialects.md")
    for number, (language, code) in enumerate(BLOCK.findall((ROOT / page).read_text(encoding="utf-8")), start=1)
]
ENDINGS = {"python": "py", "js": "mjs"}
OVER_TLS = ("import fal_client", "import replicate")


@pytest.mark.parametrize(("language", "code"), BLOCKS)
def test_a_program_runs_as_printed(gateway, tls, tmp_path, language, code):
    place = tls if any(one in code for one in OVER_TLS) else gateway
    program = tmp_path / f"printed.{ENDINGS[language]}"
    program.write_text(code, encoding="utf-8")
    host = urlsplit(tls.url)._replace(scheme="").geturl().removeprefix("//")
    hosts = {"FAL_RUN_HOST": f"{host}/fal/run", "FAL_QUEUE_RUN_HOST": f"{host}/fal/queue", "FAL_KEY": place.key}
    shutil.copy(ROOT / "examples" / "workflow.json", tmp_path)
    hosts |= {"COMFY_BASE_URL": f"{place.url}/comfy", "COMFY_API_KEY": place.key}
    place.run(str(program), older="import replicate" in code, folder=tmp_path, SD_API_KEY=place.key, **hosts)
    made = [path.read_bytes() for path in tmp_path.glob("*.png")]
    assert made
    assert all(one.startswith(b"\x89PNG") for one in made)
