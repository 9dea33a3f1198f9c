"""The page of planning: its example is what the command prints."""

from docs.planning_example import PAGE, printed, shown


def test_the_example_is_what_the_command_above_it_prints(tmp_path):
    page = PAGE.read_text(encoding="utf-8")
    # The advice that follows takes ten times as long, and comes of the same simulation.
    now = printed(page, "--no-advice", f"--svg={tmp_path / 'plan.svg'}")
    assert shown(page).startswith(now.rstrip("\n") + "\n\nWhat to change"), "run: python -m docs.planning_example"
