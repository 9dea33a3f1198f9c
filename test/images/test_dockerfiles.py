"""The Dockerfiles: clean, pinned, and given no more than they copy."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from configuration.images import IMAGES, context_files

ROOT = Path(__file__).parents[2]
BIN = ROOT / ".venv" / "bin"
DOCKERFILES = {name: source.dockerfile for name, source in IMAGES.items()} | {"box": Path("deploy/box/Dockerfile")}
"""By name; the last one's image is for one machine, and for no cluster."""
WITHOUT_PYTHON = {"/opt/huggingface", "/weights"}
"""What images get from other stages that is no Python."""

every_image = pytest.mark.parametrize("dockerfile", DOCKERFILES.values(), ids=DOCKERFILES)


def instructions(dockerfile):
    """The instructions with continued lines joined, without comments."""
    lines = [line for line in (ROOT / dockerfile).read_text().splitlines() if not line.lstrip().startswith("#")]
    return [line for line in "\n".join(lines).replace("\\\n", " ").splitlines() if line.strip()]


def copied_paths(dockerfile):
    """What COPY takes from the build's context."""
    copies = [line.split()[1:-1] for line in instructions(dockerfile) if line.startswith("COPY ")]
    return [path for words in copies if not words[0].startswith("--from") for path in words]


def test_every_dockerfile_is_in_the_catalog():
    folders = (ROOT / "queue_agent", ROOT / "runtimes", ROOT / "deploy")
    found = {path.relative_to(ROOT) for folder in folders for path in folder.rglob("Dockerfile")}
    assert found == set(DOCKERFILES.values())


def test_hadolint_finds_nothing():
    ended = subprocess.run(
        [BIN / "hadolint", "--no-color", *(ROOT / path for path in DOCKERFILES.values())],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (0, "")


def test_all_images_share_one_base_pinned_by_digest_so_that_a_node_holds_it_once():
    lines = [line for dockerfile in DOCKERFILES.values() for line in instructions(dockerfile)]
    [base] = {line.partition("PYTHON_IMAGE=")[2] for line in lines if line.startswith("ARG PYTHON_IMAGE")}
    assert re.fullmatch(r"\S+/python:3\.11\.\d+-slim-\w+@sha256:[0-9a-f]{64}", base)
    assert {line.split()[1] for line in lines if line.startswith("FROM ")} == {"${PYTHON_IMAGE}"}


@every_image
def test_an_image_follows_no_moving_tag_says_what_it_is_and_installs_libraries_with_hashes_from_a_lock(dockerfile):
    text = (ROOT / dockerfile).read_text()
    assert "latest" not in text
    for label in ("title", "description", "licenses"):
        assert f"org.opencontainers.image.{label}=" in text
    (install,) = [line for line in instructions(dockerfile) if "pip install" in line]
    assert "--require-hashes --no-deps" in install


def test_every_clone_is_pinned_by_commit_and_every_download_by_checksum():
    text = "\n".join(instructions(DOCKERFILES["sdwebui"]))
    clones = re.findall(r" clone (\S+) +(\S+/\S+) +(\S+)", text)
    assert len({folder for folder, _, _ in clones}) == 7
    assert all(re.fullmatch(r"[0-9a-f]{40}", commit) for _, _, commit in clones)
    assert re.findall(r"git \S+ \S+ fetch .*? --depth 1 \S+ (\S+)", text) == ['"$3"']
    downloads = [line for line in text.splitlines() if line.startswith("ADD ")]
    assert len(downloads) == 5
    assert all(re.match(r"ADD --checksum=sha256:[0-9a-f]{64} +https://\S+ +/weights/\S+$", one) for one in downloads)
    text = "\n".join(instructions(DOCKERFILES["comfyui"]))
    assert re.search(r"ARG COMFYUI_COMMIT=[0-9a-f]{40}\n", text)
    assert re.findall(r"fetch \S+ --depth 1 \S+ (\S+)", text) == ['"${COMFYUI_COMMIT}"']


@pytest.mark.parametrize("name", ["sdwebui", "comfyui"])
def test_a_lock_holds_what_its_list_asks_for(name):
    folder = ROOT / "runtimes" / name / "image"
    lines = (folder / "requirements.in").read_text().lower().splitlines()
    asked = {re.split(r"[<>=~]", line)[0].replace("_", "-") for line in lines if line and not line.startswith("#")}
    locked = {line.split("==")[0] for line in (folder / "requirements.txt").read_text().splitlines()}
    assert asked <= locked


@every_image
def test_the_container_does_not_run_as_root(dockerfile):
    last_stage = "\n".join(instructions(dockerfile)).rpartition("\nFROM ")[2].splitlines()
    users = [number for number, line in enumerate(last_stage) if line.startswith("USER ")]
    assert [last_stage[number] for number in users] == ["USER 1000:1000"]
    assert not any(line.startswith(("RUN", "COPY", "ADD")) for line in last_stage[users[0] :])


@every_image
def test_a_build_sees_exactly_what_its_dockerfile_copies(dockerfile):
    copied = [path for pattern in copied_paths(dockerfile) for path in ROOT.glob(pattern)]
    files = {file for path in copied for file in (path, *path.rglob("*")) if file.is_file()}
    expected = {
        file.relative_to(ROOT)
        for file in files
        if "__pycache__" not in file.parts and not file.name.startswith("Dockerfile")
    }
    assert set(context_files(ROOT, dockerfile)) == expected


def stages(dockerfile):
    """The instructions of each stage, by its name; the image itself has none."""
    found, name = {}, None
    for line in instructions(dockerfile):
        if line.startswith("FROM "):
            name = line.partition(" AS ")[2]
        found.setdefault(name, []).append(line)
    return found


@every_image
def test_all_python_of_an_image_comes_with_byte_code_for_the_container_may_write_none(dockerfile):
    built = stages(dockerfile)
    image = built[""]
    *_, last = [line for line in image if line.startswith(("COPY ", "RUN "))]
    assert re.search(r"-m compileall .* unchecked-hash .*/usr/local/lib/python3.11 ", last), "its own modules and ours"
    for _, origin, source, _ in (line.split() for line in image if line.startswith("COPY --from=")):
        stage = "\n".join(built[origin.removeprefix("--from=")])
        assert source in WITHOUT_PYTHON or re.search("-m compileall .* unchecked-hash ", stage), source


@every_image
def test_a_library_with_modules_for_another_version_of_python_is_compiled_apart_from_those(dockerfile, tmp_path):
    (tmp_path / "good.py").write_text("x = 1")
    (tmp_path / "_py2.py").write_text("raise exc, None, tb")
    [install] = [line.removeprefix("RUN ") for line in stages(dockerfile)["libraries"] if "pip install" in line]
    command = install.split(" && ")[2]
    command = command.replace("/opt/venv/bin/python", sys.executable).replace("/opt/venv", str(tmp_path))
    ended = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)
    assert ended.returncode == 0
    assert "_py2.py" in ended.stdout
    assert [file.name.partition(".")[0] for file in tmp_path.rglob("*.pyc")] == ["good"]


@pytest.mark.parametrize("name", ["sdwebui", "comfyui", "flux", "invokeai"])
def test_the_largest_libraries_are_layers_of_their_own_on_top_of_the_others(name):
    """A layer is unpacked by one processor; side by side, the largest one is what a node waits for."""
    copies = [line.split()[1:] for line in instructions(DOCKERFILES[name]) if line.startswith("COPY --from=libraries")]
    targets = [words[-1] for words in copies]
    place = "/opt/venv/lib/python3.11/site-packages"
    apart = [f"{place}/{library}" for library in ("nvidia", "nvidia/cudnn", "torch", "triton")]
    assert targets[targets.index("/opt/venv") + 1 :][:4] == apart
    [install] = [line for line in stages(DOCKERFILES[name])["libraries"] if "pip install" in line]
    within, *others = apart[1], apart[0], *apart[2:]
    assert install.split(" && ")[-1].split() == ["mv", within, *others, "/opt/large/"]
