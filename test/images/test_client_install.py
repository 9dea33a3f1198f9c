"""The Python client, installed as its README says, into an environment that has nothing else."""

import subprocess
import sys
from pathlib import Path

CLIENT = Path(__file__).parents[2] / "clients" / "python"
CHECK = """
import importlib.resources, sd_on_eks
assert importlib.resources.files(sd_on_eks).joinpath("py.typed").is_file()
print(sd_on_eks.__file__)
"""


def run(*command, code=0):
    done = subprocess.run(list(map(str, command)), env={}, cwd="/", capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_client_is_installed_by_pip_with_its_command_and_its_types(tmp_path):
    subprocess.run([sys.executable, "-m", "venv", tmp_path], check=True)
    subprocess.run([tmp_path / "bin" / "pip", "install", "--quiet", CLIENT], check=True)
    assert run(tmp_path / "bin" / "python", "-c", CHECK).startswith(str(tmp_path))
    assert "submit a job" in run(tmp_path / "bin" / "sd", "--help")
    assert "Set SD_URL and SD_API_KEY" in run(tmp_path / "bin" / "sd", "ls", code=2)
