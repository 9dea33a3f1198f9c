"""The contact sheet: one page with the pictures of all demos, newest first."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from html import escape
from pathlib import Path
from string import Template
from typing import Self

RUN_FILE = "run.json"
"""What a run's directory says of itself; a directory without it is no run."""
_PAGE = Path(__file__).with_name("sheet.html")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A request and what became of it.

    Attributes:
        task: Its task type.
        api: The version of the API that it was posted to.
        runtime: The runtime that did it.
        prompt: What it asked for; empty where a task has no words.
        seconds: From the request to its notice; None when none came.
        pictures: File names in the run's directory.
        problem: What is wrong; None when all is well.
        request: File name of its body.
        curl: The command that posts it again.
    """

    task: str
    api: str
    runtime: str
    prompt: str
    seconds: float | None
    pictures: list[str]
    problem: str | None
    request: str
    curl: str


@dataclass(slots=True, kw_only=True)
class Run:
    """One demo.

    Attributes:
        directory: Where its files lie.
        started: When it began, in local time.
        asked: How many requests it had to post.
        platform: The command that starts a platform which takes its requests; None where there is none.
        entries: What became of them, in the order of their ends.
    """

    directory: Path
    started: datetime
    asked: int
    platform: str | None
    entries: list[Entry] = field(default_factory=list)

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read a run's directory.

        Raises:
            OSError, ValueError, KeyError, TypeError: It is none.
        """
        held = json.loads((directory / RUN_FILE).read_text(encoding="utf-8"))
        return cls(
            directory=directory,
            started=datetime.fromisoformat(held["started"]),
            asked=held["asked"],
            platform=held["platform"],
            entries=[Entry(**entry) for entry in held["entries"]],
        )

    def save(self) -> None:
        """Write what ``load`` reads."""
        held = {
            "started": self.started.isoformat(timespec="seconds"),
            "asked": self.asked,
            "platform": self.platform,
            "entries": [asdict(entry) for entry in self.entries],
        }
        (self.directory / RUN_FILE).write_text(json.dumps(held, indent=2) + "\n", encoding="utf-8")


def write_sheet(out: Path) -> Path:
    """Write the page of all runs under a directory; return its path."""
    runs = sorted(_runs(out), key=lambda run: run.directory.name, reverse=True)
    page = Template(_PAGE.read_text(encoding="utf-8"))
    sections = "\n".join(_section(run, newest=number == 0) for number, run in enumerate(runs))
    index = out / "index.html"
    index.write_text(page.substitute(runs=len(runs), sections=sections), encoding="utf-8")
    return index


def _runs(out: Path) -> Iterable[Run]:
    for file in out.glob(f"*/{RUN_FILE}"):
        try:
            yield Run.load(file.parent)
        except (OSError, ValueError, KeyError, TypeError):
            continue  # a run of another version, or somebody else's file


def _section(run: Run, *, newest: bool) -> str:
    good = [entry for entry in run.entries if entry.problem is None]
    missing = run.asked - len(run.entries)
    facts = [f"{len(good)} of {run.asked} requests drawn"]
    if missing:
        facts.append(f"{missing} interrupted")
    hint = ""
    if run.platform is not None:
        hint = f"<p class=hint>Each command works in the checkout while <code>{escape(run.platform)}</code> runs.</p>"
    cards = "\n".join(_card(run.directory.name, entry) for entry in run.entries)
    return (
        f"<details class=run{' open' if newest else ''}><summary><h2><time>{run.started:%d %B %Y, %H:%M:%S}</time></h2>"
        f"<span>{', '.join(facts)}</span></summary>{hint}<div class=cards>\n{cards}\n</div></details>"
    )


def _card(folder: str, entry: Entry) -> str:
    links = [escape(f"{folder}/{name}") for name in entry.pictures]
    alt = escape(entry.prompt or entry.task)
    pictures = "".join(f'<a href="{link}"><img src="{link}" alt="{alt}" loading=lazy></a>' for link in links)
    seconds = "" if entry.seconds is None else f"<b>{entry.seconds:.1f} s</b>"
    problem = f"<p class=problem>{escape(entry.problem)}</p>" if entry.problem else ""
    prompt = f"<blockquote>{escape(entry.prompt)}</blockquote>" if entry.prompt else ""
    return (
        f"<article><div class=pictures data-count={len(links)}>{pictures}</div><div class=text>"
        f"<header><h3>{escape(entry.task)}</h3>{seconds}</header>"
        f"<p class=where>{escape(entry.runtime)} · {escape(entry.api)}</p>{problem}{prompt}"
        f"<pre tabindex=0>{escape(entry.curl)}</pre><footer><button type=button>Copy command</button>"
        f'<a href="{escape(f"{folder}/{entry.request}")}">Body of the request</a></footer></div></article>'
    )
