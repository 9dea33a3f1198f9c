import pytest

from planning.arrivals import DAY_S, LoadError, read_csv, read_curve, read_lengths, read_per_day

RUNTIMES = ("sdruntime", "comfyruntime")


def csv_of(tmp_path, *lines):
    path = tmp_path / "jobs.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "steps", "days"),
    [
        ("00:00=10,08:00=500", ((0, 10), (8 * 3600, 500)), 1),
        ("8:00=500, 18:30=50", ((0, 50), (8 * 3600, 500), (18.5 * 3600, 50)), 1),
        ("Mon 08:00=500,sat 00:00=0", ((0, 0), (8 * 3600, 500), (5 * DAY_S, 0)), 7),
    ],
)
def test_a_rate_holds_until_the_next_one_also_past_midnight(text, steps, days):
    curve = read_curve(text)
    assert (curve.steps, curve.period_s) == (steps, days * DAY_S)


@pytest.mark.parametrize("curve", [read_per_day("24000"), read_curve("00:00=0,06:00=4000,12:00=0")])
def test_a_period_has_the_jobs_that_the_rates_promise_and_only_when_there_is_a_rate(curve):
    load = curve.load(1.5, seed=1)
    assert len(load) == 24000
    assert len({round(at_s) for at_s in load.times}) < 0.9 * len(load), "by chance, some come together"
    assert load.duration_s == DAY_S
    for start_s in [start_s for start_s, rate in curve.steps if not rate]:
        assert not [at for at in load.times if start_s <= at < start_s + 6 * 3600]


@pytest.mark.parametrize(
    ("read", "text", "words"),
    [
        (read_curve, "8=500", "'8=500' is no step of a rate: write 08:00=500"),
        (read_curve, "25:00=1", "'25:00=1' is no step"),
        (read_curve, "Mün 08:00=1", "is no step"),
        (read_curve, "08:00=many", "'many' is no number of pictures an hour"),
        (read_curve, "08:00=1,08:00=2", "is the second rate from that time on"),
        (read_curve, "08:00=1,Mon 09:00=2", "either all steps of a rate have a day"),
        (read_curve, "Mon 08:00=1,08:00=2", "either all steps of a rate have a day"),
        (read_per_day, "-1", "'-1' is no number of pictures a day"),
        (read_per_day, "nan", "'nan' is no number"),
        (read_lengths, "0", "a job cannot take 0 seconds"),
        (read_lengths, "1.5:80%,30:10%", "are 90 % together, not 100 %"),
        (read_lengths, "1.5,30", "'1.5' has no share"),
    ],
)
def test_what_is_no_load_is_explained(read, text, words):
    with pytest.raises(LoadError, match=words.replace("(", r"\(")):
        read(text)


@pytest.mark.parametrize(
    "lines",
    [
        ("0,1.5", "3600,", "7200.5,30"),
        ("time,seconds", "7200.5,30", "0,1.5", "3600,"),
        ("seconds,time", "1.5,2026-11-30T00:00:00Z", "", ",2026-11-30T01:00Z", "30,2026-11-30T02:00:00.5+00:00"),
        ("time,seconds", "1796083200,1.5", "1796086800,", "1796090400.5,30"),
        ("created_at,run_s", "2026-11-30 00:00,1.5", "2026-11-30 01:00", "2026-11-30 02:00:00.5,30"),
    ],
)
def test_a_file_has_seconds_or_dates_with_or_without_a_line_of_names_and_in_any_order(tmp_path, lines):
    found = read_csv(csv_of(tmp_path, *lines), RUNTIMES, "sdruntime")
    assert list(found) == ["sdruntime"]
    jobs = found["sdruntime"]
    assert (jobs.times, jobs.seconds, jobs.period_s) == ([0, 3600, 7200.5], [1.5, None, 30], DAY_S)


def test_jobs_go_to_the_runtimes_that_the_file_names_which_share_a_period_of_whole_days(tmp_path):
    lines = ("time,runtime", "2026-11-30T23:00,comfyruntime", "2026-11-30T22:00,", "2026-12-01T00:00,comfyruntime")
    found = read_csv(csv_of(tmp_path, *lines), RUNTIMES, "sdruntime")
    assert {name: jobs.times for name, jobs in found.items()} == {
        "sdruntime": [22 * 3600],
        "comfyruntime": [23 * 3600, 24 * 3600],
    }
    assert {jobs.period_s for jobs in found.values()} == {2 * DAY_S}


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (("time", "1", "soon"), "jobs.csv has 1 error:\n  line 3: 'soon' is no time: write seconds, or 2026-"),
        (("1,0", "2,x", "-3"), "3 errors:\n  line 1: a job cannot take 0 seconds.*\n  line 2: 'x' is no.*\n  line 3"),
        (("1,2,elsewhere",), "line 1: there is no runtime 'elsewhere'; there are sdruntime, comfyruntime"),
        (("1", "2026-11-30T00:00"), "all times must have the same form"),
        (("2026-11-30T00:00Z", "2026-11-30T00:00"), "all times must have the same form"),
        (("time,seconds",), "has no jobs: write a line for each"),
        (("x",) * 12, "has 11 errors:(\n.*){10}\n  and 1 more"),
        (("1e400",), "'1e400' is no time"),
        (("2026-11-30T08:00", "2062-11-30T08:00"), "jobs over 13,150 days: write times of at most 366"),
        (("1796083200000", "1796169600000"), "jobs over 1,001 days"),
        (
            ("time,duration", "1,5"),
            "jobs.csv has the columns time, duration: those of a load are time, seconds, runtime",
        ),
        (("created_at,seconds", "1,5"), "has the columns created_at, seconds: those of a load"),
        (("time;seconds", "1;5"), "jobs.csv has semicolons between its columns: write commas"),
        (("2026-11-30T08:00:00\t5",), "has tabs between its columns: write commas"),
    ],
)
def test_each_wrong_line_of_a_file_is_named(tmp_path, lines, words):
    with pytest.raises(LoadError, match=words):
        read_csv(csv_of(tmp_path, *lines), RUNTIMES, "sdruntime")


def test_more_jobs_than_can_be_simulated_are_refused_before_they_are_drawn():
    with pytest.raises(LoadError, match="1,000,000,000 pictures are too many to simulate"):
        read_per_day("1e9").load(1.5, seed=1)


def test_jobs_of_a_file_take_what_it_says_and_the_others_one_of_the_lengths(tmp_path):
    jobs = read_csv(csv_of(tmp_path, "0,1.5", "1", "2,"), RUNTIMES, "sdruntime")["sdruntime"]
    load = jobs.load(read_lengths("7:100%"), seed=1)
    assert (list(load.times), list(load.seconds), load.duration_s) == ([0, 1, 2], [1.5, 7, 7], DAY_S)


def test_a_file_that_is_none_is_explained_and_so_is_a_job_whose_runtime_nobody_names(tmp_path):
    with pytest.raises(LoadError, match=r"nowhere.csv: No such file"):
        read_csv(tmp_path / "nowhere.csv", RUNTIMES, None)
    picture = tmp_path / "picture.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n\x00")
    with pytest.raises(LoadError, match="is no CSV file"):
        read_csv(picture, RUNTIMES, None)
    with pytest.raises(LoadError, match="which runtime"):
        read_csv(csv_of(tmp_path, "1"), RUNTIMES, None)
