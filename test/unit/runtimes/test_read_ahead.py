"""Copies of model files, made while a server starts."""

import os
import threading

import pytest

from runtimes import read_ahead
from runtimes.read_ahead import copy, main


@pytest.fixture(autouse=True)
def _tmp(monkeypatch):
    monkeypatch.setenv("TMP_SIZE", "20Gi")


@pytest.fixture
def model(tmp_path):
    """A file of several pieces a reader, and the link to it that a server opens."""
    source, link = tmp_path / "bucket" / "one.safetensors", tmp_path / "near" / "one.safetensors"
    for path in (source, link):
        path.parent.mkdir()
    source.write_bytes(os.urandom(3_000_001))
    link.symlink_to(source)
    return source, link


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 100_000])
def test_a_copy_is_the_same_whatever_its_size(tmp_path, monkeypatch, size):
    monkeypatch.setattr(read_ahead, "_PIECE_BYTES", 1000)
    source, target = tmp_path / "source", tmp_path / "deep" / "target"
    source.write_bytes(os.urandom(size))
    os.utime(source, (1000, 1000))
    assert copy(source, target)
    assert target.read_bytes() == source.read_bytes()
    assert target.stat().st_mtime == 1000
    assert [path.name for path in target.parent.iterdir()] == ["target"]


def test_the_link_leads_to_the_bucket_until_the_copy_is_whole_and_several_read_at_a_time(model, monkeypatch):
    source, link = model
    reading, go_on = threading.Barrier(read_ahead._READERS + 1), threading.Event()
    copy_part = read_ahead._copy_part

    def held(*arguments):
        reading.wait(60)
        go_on.wait(60)
        copy_part(*arguments)

    monkeypatch.setattr(read_ahead, "_copy_part", held)
    copying = threading.Thread(target=main, args=([str(source), str(link)],))
    copying.start()
    reading.wait(60)
    assert link.readlink() == source
    go_on.set()
    copying.join(60)
    assert not link.is_symlink()
    assert link.read_bytes() == source.read_bytes()


@pytest.mark.parametrize(("given", "gib"), [({}, 0), ({"TMP_SIZE": "20Gi"}, 12), ({"TMP_SIZE": "5120Mi"}, 3)])
def test_copies_leave_room_in_tmp_and_where_it_has_no_limit_nothing_is_copied(given, gib):
    assert read_ahead.room_bytes(given) == gib << 30


@pytest.mark.parametrize("fault", ["too large", "disk full", "shorter", "gone"])
def test_a_file_that_cannot_be_copied_is_read_from_the_bucket_and_nothing_is_left(model, monkeypatch, capsys, fault):
    source, link = model
    if fault == "too large":
        monkeypatch.setenv("TMP_SIZE", "4Mi")
    elif fault == "disk full":
        monkeypatch.setattr(read_ahead.os, "pwrite", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
    elif fault == "shorter":
        part = read_ahead._copy_part
        monkeypatch.setattr(read_ahead, "_copy_part", lambda a, b, begin, end: part(a, b, begin, end + 1))
    else:
        source.unlink()
    assert not copy(source, link)
    assert link.readlink() == source
    assert [path.name for path in link.parent.iterdir()] == [link.name]
    assert "it is read from the bucket" in capsys.readouterr().err
