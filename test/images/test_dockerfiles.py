"""The Dockerfiles: clean, pinned, and given no more than they copy."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from configuration.images import IMAGES, content_tag, context_files

ROOT = Path(__file__).parents[2]
BIN = ROOT / ".venv" / "bin"
DOCKERFILES = {name: source.dockerfile for name, source in IMAGES.items()}
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
    folders = (ROOT / "queue_agent", ROOT / "runtimes")
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


def compilations(lines):
    """The words of each call of compileall, with the number of its line."""
    for number, line in enumerate(lines):
        for command in line.removeprefix("RUN ").split(" && ") if line.startswith("RUN ") else ():
            if "-m compileall " in command:
                yield number, command.split()


def is_compiled(lines, place, *, after=-1):
    """Whether a stage compiles a folder, later than some line."""
    folders = [Path(word) for number, words in compilations(lines) if number > after for word in words if "/" in word]
    return any(Path(place).is_relative_to(folder) for folder in folders)


@every_image
def test_all_python_of_an_image_comes_with_byte_code_for_the_container_may_write_none(dockerfile):
    built = stages(dockerfile)
    image = built[""]
    folders = {"/usr/local/lib/python3.11": -1}  # the base image brings its own modules without
    workdir = ""
    for number, line in enumerate(image):
        instruction, *words = line.split()
        if instruction == "WORKDIR":
            [workdir] = words
        if instruction != "COPY":
            continue
        if words[0].startswith("--from="):
            stage, source = words[0].removeprefix("--from="), words[1]
            assert source in WITHOUT_PYTHON or is_compiled(built[stage], source), line
        else:
            assert words[-1].startswith("./"), line
            folders[workdir] = number
    assert len(folders) == 2
    assert all(is_compiled(image, folder, after=number) for folder, number in folders.items())
    calls = [words for lines in built.values() for _, words in compilations(lines)]
    assert all(words[words.index("--invalidation-mode") + 1] == "unchecked-hash" for words in calls)


@every_image
def test_byte_code_as_the_image_makes_it_is_taken_and_nothing_is_written(dockerfile, tmp_path):
    shutil.copytree(ROOT / "contract", tmp_path / "app" / "contract", ignore=shutil.ignore_patterns("__pycache__"))
    [*_, (_, words)] = compilations(stages(dockerfile)[""])
    subprocess.run([sys.executable, *words[1:-2], tmp_path / "app"], check=True)
    modules = tmp_path / "app" / "contract"
    shutil.copystat(ROOT, modules / "task.py")  # another time, as a layer may have it
    before = sorted(tmp_path.rglob("*"))
    ended = subprocess.run(
        [sys.executable, "-v", "-c", "import contract.task"],
        cwd=tmp_path / "app",
        env={"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    taken = re.findall(r"# code object from '?(\S+/app/contract/\S+?)'?\n", ended.stderr)
    assert {Path(path).suffix for path in taken} == {".pyc"}
    assert len(taken) > 5
    assert sorted(tmp_path.rglob("*")) == before


@every_image
def test_a_library_with_modules_for_another_version_of_python_is_compiled_apart_from_those(dockerfile, tmp_path):
    (tmp_path / "good.py").write_text("x = 1")
    (tmp_path / "_py2.py").write_text("raise exc, None, tb")
    [install] = [line.removeprefix("RUN ") for line in stages(dockerfile)["libraries"] if "pip install" in line]
    command = install.partition(" && ")[2].partition(" && ")[2]
    command = command.replace("/opt/venv/bin/python", sys.executable).replace("/opt/venv", str(tmp_path))
    ended = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)
    assert ended.returncode == 0
    assert "_py2.py" in ended.stdout
    assert [file.name.partition(".")[0] for file in tmp_path.rglob("*.pyc")] == ["good"]


def make_context(folder, rules, files):
    (folder / "Dockerfile.dockerignore").write_text("\n".join(rules))
    (folder / "Dockerfile").write_text("FROM scratch")
    (folder / "pyproject.toml").write_text('[project]\nversion = "7.8.9"\n')
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def test_the_last_matching_rule_decides_as_in_docker(tmp_path):
    files = ["a/x.py", "a/b/y.py", "a/b/__pycache__/y.pyc", "a/secret.txt", "other/z.py"]
    make_context(tmp_path, ["*", "# what is copied", "!a", "a/*.txt", "**/__pycache__"], files)
    assert [str(path) for path in context_files(tmp_path, Path("Dockerfile"))] == ["a/b/y.py", "a/x.py"]


def test_a_list_that_ignores_single_files_is_refused(tmp_path):
    make_context(tmp_path, ["a", "!b"], [])
    with pytest.raises(ValueError, match="must ignore all"):
        context_files(tmp_path, Path("Dockerfile"))


def test_the_tag_is_the_version_and_changes_with_every_file_that_the_build_sees_and_with_no_other(tmp_path):
    make_context(tmp_path, ["*", "!a"], ["a/x.py", "other.py"])
    before = content_tag(tmp_path, Path("Dockerfile"))
    assert re.fullmatch(r"7\.8\.9-[0-9a-f]{12}", before)
    (tmp_path / "other.py").write_text("changed")
    assert content_tag(tmp_path, Path("Dockerfile")) == before
    tags = {before}
    for changed in ("a/x.py", "Dockerfile"):
        (tmp_path / changed).write_text("changed")
        tags.add(content_tag(tmp_path, Path("Dockerfile")))
    shutil.move(tmp_path / "a" / "x.py", tmp_path / "a" / "y.py")
    tags.add(content_tag(tmp_path, Path("Dockerfile")))
    assert len(tags) == 4
