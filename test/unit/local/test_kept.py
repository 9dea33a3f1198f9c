"""The files of a platform that keeps its data: what is kept together, refused, copied and restored."""

import io
import os
import sqlite3
import subprocess
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from local.access import demanding
from local.kept.backup import BackupError, write_backup
from local.kept.database import FORMAT, Database, FormatError, decode, encode
from local.kept.hold import deleting, holding
from local.kept.objects import ObjectFiles
from local.kept.restore import RestoreError, read_backup
from local.kept.store import KeptAws, would_fill

GIB = 1024**3
SCRIPTS = Path(__file__).resolve().parents[3] / "deploy" / "box"


class FatalError(Exception):
    """The process would have ended."""


def ended(exc):
    raise FatalError from exc


@pytest.fixture
def database(tmp_path):
    database = Database(tmp_path / "store.db", fail=ended)
    yield database
    database.close()


def put(database, name, body="{}"):
    database.write("INSERT OR REPLACE INTO items VALUES (?, ?)", name, body)


def kept(path):
    """What another process finds there."""
    with sqlite3.connect(path) as connection:
        return [name for (name,) in connection.execute("SELECT pk FROM items ORDER BY pk")]


def test_what_is_settled_is_there_for_everybody_and_nothing_is_before(database, tmp_path):
    put(database, "a")
    assert kept(tmp_path / "store.db") == []
    database.settle()
    assert kept(tmp_path / "store.db") == ["a"]


def test_many_who_wait_share_commits(database):
    commits = []
    database._connection.set_trace_callback(lambda said: commits.append(said) if said == "COMMIT" else None)
    names = [f"{number:03}" for number in range(100)]

    def work(name):
        put(database, name)
        database.settle()

    with database._committing, ThreadPoolExecutor(len(names)) as pool:
        for name in names:
            pool.submit(work, name)
        while len(database.read("SELECT pk FROM items")) < len(names):
            pass
        database._committing.release()
        pool.shutdown()
        database._committing.acquire()
    assert len(commits) == 1


def test_of_what_fails_as_a_whole_nothing_is_kept_and_of_others_all(database, tmp_path):
    put(database, "before")

    @database.whole()
    def fail():
        put(database, "inside")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    put(database, "after")
    database.settle()
    assert kept(tmp_path / "store.db") == ["after", "before"]


def test_a_disk_that_takes_no_more_ends_the_process(database):
    database._connection.execute("PRAGMA max_page_count = 20")
    with pytest.raises(FatalError):
        put(database, "large", "x" * 2**20)


def test_damage_that_is_found_later_ends_the_process_with_what_to_do(tmp_path):
    path, found = tmp_path / "store.db", []
    database = Database(path, fail=found.append)
    for number in range(100):
        put(database, f"{number:03}", "x" * 2000)
    database.settle()
    database.close()
    with path.open("r+b") as file:
        file.seek(5 * 4096)
        file.write(b"garbage!" * 20 * 512)
    database = Database(path, fail=found.append)
    with pytest.raises(sqlite3.DatabaseError):
        database.read("SELECT count(body) FROM items")
    with pytest.raises(sqlite3.DatabaseError):
        database.write("DELETE FROM items")
    assert len(found) == 2
    assert all("make restore" in str(one) for one in found)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (f"PRAGMA user_version = {FORMAT + 1}", f"has format {FORMAT + 1}, and this release reads up to {FORMAT}"),
        (None, r"store\.db is damaged .* make restore DATA=NEW-FOLDER FILE=BACKUP, then make up DATA=NEW-FOLDER"),
    ],
)
def test_a_file_of_a_newer_release_or_of_garbage_is_refused_and_stays_as_it_is(tmp_path, spoil, words):
    path = tmp_path / "store.db"
    if spoil:
        Database(path, fail=ended).close()
        with sqlite3.connect(path) as connection:
            connection.execute(spoil)
    else:
        path.write_bytes(b"garbage" * 1000)
    before = path.read_bytes()
    with pytest.raises(FormatError, match=words):
        Database(path, fail=ended)
    assert path.read_bytes() == before


def test_bytes_and_times_come_back_as_they_were(database):
    value = {"a": b"\x00\xff", "b": [1.5, None, "ü"], "$bytes": "no bytes", "c": {"$time": "2026", "d": 1}}
    assert decode(encode(value)) == value


@pytest.mark.parametrize(
    ("method", "target", "free", "is_refused"),
    [
        ("PUT", "", GIB, False),
        ("PUT", "", GIB // 8, True),
        ("POST", "DynamoDB_20120810.TransactWriteItems", GIB // 8, True),
        ("POST", "DynamoDB_20120810.UpdateItem", GIB // 8, False),
        ("POST", "AmazonSQS.DeleteMessage", GIB // 8, False),
        ("POST", "DynamoDB_20120810.UpdateItem", 1024, True),
        ("GET", "", 0, False),
        ("DELETE", "", 0, False),
    ],
)
def test_when_the_disk_fills_nothing_new_begins_and_what_has_begun_ends(method, target, free, is_refused):
    assert would_fill({"REQUEST_METHOD": method, "HTTP_X_AMZ_TARGET": target}, free) == is_refused


@pytest.mark.parametrize(
    ("authorization", "query", "status"),
    [
        ("AWS4-HMAC-SHA256 Credential=secret/20260131/us-east-1/s3/aws4_request, Signature=0", "", "200 OK"),
        ("", "X-Amz-Credential=secret%2F20260131%2Fus-east-1%2Fs3%2Faws4_request", "200 OK"),
        ("AWS4-HMAC-SHA256 Credential=secre/20260131/us-east-1/s3/aws4_request, Signature=0", "", "403 Forbidden"),
        ("", "", "403 Forbidden"),
    ],
)
def test_aws_answers_only_those_who_name_its_key(authorization, query, status):
    heads = []

    def app(environ, start_response):
        start_response("200 OK", [])
        return []

    environ = {"HTTP_AUTHORIZATION": authorization, "QUERY_STRING": query}
    demanding(app, "secret")(environ, lambda head, _: heads.append(head))
    assert heads == [status]


@pytest.fixture
def data(tmp_path):
    """A folder as `make up DATA=…` leaves it, with two objects and a key."""
    folder = tmp_path / "data"
    (folder / "store").mkdir(parents=True)
    (folder / "api-key").write_text("secret")
    (folder / "logs").mkdir()
    database = Database(folder / "store" / "store.db", fail=ended)
    files = ObjectFiles(folder / "store" / "objects")
    for name in ("a", "b"):
        content = os.urandom(100_000)
        state = encode({"contentsize": len(content)})
        values = "bucket", name, files.write(content), 0.0, state
        database.write("INSERT INTO objects VALUES (?, ?, ?, ?, ?)", *values)
    put(database, "job")
    database.settle()
    yield folder
    database.close()


def archive_of(data):
    target = io.BytesIO()
    assert write_backup(data, target) == 2
    return io.BytesIO(target.getvalue())


def test_a_backup_of_what_is_in_use_becomes_the_same_again(data, tmp_path):
    restored = tmp_path / "restored"
    assert read_backup(restored, archive_of(data)) == 2
    assert (restored / "api-key").read_text() == "secret"
    assert kept(restored / "store" / "store.db") == ["job"]
    found = {path.name: path.read_bytes() for path in (restored / "store" / "objects").glob("*/*")}
    assert found == {path.name: path.read_bytes() for path in (data / "store" / "objects").glob("*/*")}
    modes = {path.stat().st_mode & 0o777 for path in restored.rglob("*")}
    assert modes <= {0o600, 0o700}
    assert not list((data / "store").glob("backup-*"))


def cut_short(archive):
    return io.BytesIO(archive.getvalue()[:150_000])


def with_a_way_out(archive):
    target = io.BytesIO()
    with tarfile.open(fileobj=archive) as source, tarfile.open(fileobj=target, mode="w") as changed:
        for member in source.getmembers():
            content = source.extractfile(member)
            member.name = member.name.replace("api-key", "../outside")
            changed.addfile(member, content)
    return io.BytesIO(target.getvalue())


def test_a_backup_that_ends_too_early_or_leads_elsewhere_makes_no_platform(data, tmp_path):
    archive = archive_of(data)
    for number, spoil in enumerate((cut_short, with_a_way_out)):
        folder = tmp_path / f"restored-{number}"
        with pytest.raises(RestoreError):
            read_backup(folder, spoil(archive))
        assert not (folder / "store" / "store.db").exists()
        with pytest.raises(FormatError, match="only half restored"):
            KeptAws(folder / "store", {})
        archive.seek(0)
    assert not (tmp_path / "outside").exists()


def test_nothing_is_restored_over_a_platform_and_no_other_folder_is_copied(data, tmp_path):
    with pytest.raises(RestoreError, match="is not empty"):
        read_backup(data, archive_of(data))
    with pytest.raises(BackupError, match=r"is no folder of make up DATA"):
        write_backup(tmp_path, io.BytesIO())


def script(name, *arguments):
    environment = os.environ | {"PYTHON": sys.executable}
    command = [SCRIPTS / name, *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_oldest_backups_make_room_for_a_new_one_and_other_files_stay(data, tmp_path):
    backups = tmp_path / "backups"
    backups.mkdir()
    for name in ("sd-on-eks-20250101T000000Z.tar", "sd-on-eks-20250102T000000Z.tar", "sd-on-eks-20250103.tar.part"):
        (backups / name).touch()
    (backups / "sd-on-eks-mine.tar").touch()
    done = script("backup.sh", data, backups, 2)
    assert done.returncode == 0, done.stderr
    *others, new = sorted(backups.glob("*.tar*"))[:-1]
    assert [one.name for one in others] == ["sd-on-eks-20250102T000000Z.tar"]
    assert new.stat().st_mode & 0o777 == 0o600
    assert (backups / "sd-on-eks-mine.tar").exists()

    done = script("restore.sh", backups, tmp_path / "restored")
    assert done.returncode == 0, done.stderr
    assert new.name in done.stderr
    assert kept(tmp_path / "restored" / "store" / "store.db") == ["job"]
    again = script("restore.sh", backups, tmp_path / "restored")
    assert (again.returncode, "is not empty" in again.stderr) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [((), 2, "backup.sh DATA FOLDER"), (("data", "new", "0"), 2, "COUNT"), (("elsewhere", "new"), 1, "is no folder")],
)
def test_a_backup_that_cannot_be_leaves_the_older_ones(tmp_path, arguments, code, words):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "new").mkdir()
    old = tmp_path / "new" / "sd-on-eks-20250101T000000Z.tar"
    old.touch()
    done = script("backup.sh", *(tmp_path / one if one.isalpha() else one for one in arguments))
    assert (done.returncode, words in done.stderr) == (code, True), done.stderr
    assert list(old.parent.glob("*.tar*")) == [old]


def test_no_file_is_deleted_while_a_backup_reads_them(tmp_path):
    with holding(tmp_path), deleting(tmp_path) as may:
        assert not may
    with deleting(tmp_path) as may:
        assert may
