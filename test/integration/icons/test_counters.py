"""Hits and drawn icons are counted, a write for each or fewer."""

import threading
from datetime import date

from icons import counters
from icons.counters import Counters

NOON_S = 1_796_040_000.0  # 2026-11-30, 12:00 UTC


def test_hits_of_many_threads_are_all_counted(table):
    table.delete_all()
    ours = Counters(table.store)
    threads = [threading.Thread(target=lambda: [ours.hit("cart", NOON_S) for _ in range(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ours.hit("a key/with 汉字", NOON_S + 5)
    ours.flush()
    hits = ours.read().hits
    assert {key: one.hits for key, one in hits.items()} == {"cart": 200, "a key/with 汉字": 1}
    assert hits["cart"].first_s == NOON_S


def test_hits_that_come_while_one_is_written_are_one_write(table, monkeypatch):
    table.delete_all()
    ours, writes, may_write = Counters(table.store), [], threading.Event()
    run = table.store.run

    def slow(command):
        writes.append(command)
        assert may_write.wait(60)
        return run(command)

    monkeypatch.setattr(table.store, "run", slow)
    for _ in range(10):
        ours.hit("cart", NOON_S)
    may_write.set()
    ours.flush()
    monkeypatch.undo()
    assert len(writes) <= 2
    assert ours.read().hits["cart"].hits == 10


def test_drawn_icons_are_counted_by_day_in_utc(table):
    table.delete_all()
    ours = Counters(table.store)
    for time_s in (NOON_S, NOON_S + 3600, NOON_S + 13 * 3600):
        ours.drawn(time_s)
    assert ours.read().drawn == {date(2026, 11, 30): 2, date(2026, 12, 1): 1}


def test_a_count_that_aws_refuses_is_only_logged(table, monkeypatch, caplog):
    ours = Counters(table.store)
    monkeypatch.setattr(table.store, "table", "no-such-table")
    ours.hit("cart", NOON_S)
    ours.flush()
    assert "not counted: ResourceNotFoundException" in caplog.text


def test_a_report_says_when_there_is_more_than_it_reads(table, monkeypatch):
    table.delete_all()
    ours = Counters(table.store)
    monkeypatch.setattr(counters, "MAX_ITEMS", 2)
    monkeypatch.setattr(counters, "_PAGE", 1)
    for icon in "abc":
        ours.hit(icon, NOON_S)
        ours.flush()
    tallies = ours.read()
    assert (len(tallies.hits), tallies.is_complete) == (2, False)
