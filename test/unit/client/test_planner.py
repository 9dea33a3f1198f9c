"""`sd plan`, which hands over to the checkout."""

import pytest

from sd_on_eks.cli import USAGE, main


@pytest.fixture
def checkout(tmp_path):
    """A checkout whose Python only shows what it is given."""
    root = tmp_path / "checkout"
    for folder in ("planning", ".venv/bin", "below"):
        (root / folder).mkdir(parents=True)
    (root / "planning" / "__main__.py").touch()
    python = root / ".venv" / "bin" / "python"
    python.write_text('#!/bin/sh\necho "$PYTHONPATH" "$@"\nexit 7\n')
    python.chmod(0o755)
    return root


@pytest.mark.parametrize("folder", [".", "below"])
def test_the_checkouts_own_python_plans_with_the_same_arguments_wherever_in_it(checkout, monkeypatch, capfd, folder):
    monkeypatch.chdir(checkout / folder)
    assert main(["plan", "--per-day", "10", "--json"]) == 7
    assert capfd.readouterr().out == f"{checkout} -P -m planning --per-day 10 --json\n"


def test_elsewhere_it_says_what_it_needs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["plan"]) == USAGE
    assert "sd plan needs a checkout of sd-on-eks" in capsys.readouterr().err


def test_in_a_checkout_without_its_environment_it_says_how_to_make_one(checkout, monkeypatch, capsys):
    (checkout / ".venv" / "bin" / "python").unlink()
    monkeypatch.chdir(checkout)
    assert main(["plan"]) == USAGE
    assert f"run `make .venv/stamps/deploy` in {checkout}" in capsys.readouterr().err
