"""`bnlab experiment`: what a user types, sees, and finds in the folder."""

import csv
import dataclasses
import json
import re
import subprocess
import sys
from dataclasses import dataclass

import pytest
from typer.testing import CliRunner

from bnlab.course.experiments import campaign, files, reporting, results, selection
from bnlab.course.experiments import ledger as ledger_module
from bnlab.course.experiments.evidence import Claim, Definition, Experiment
from bnlab.course.experiments.ledger import ids
from bnlab.course.experiments.rule import Part
from bnlab.course.experiments.seeds import over_seeds
from bnlab.tools import cli


@dataclass(frozen=True)
class Two:
    """Two seeds."""

    seeds: tuple[int, ...] = (0, 1)


def one_seed(config, seed):
    return {"x": float(seed)}


def count(config):
    return over_seeds(one_seed, config)


def interrupted(config):
    if config.seeds == (1,):
        raise KeyboardInterrupt
    return count(config)


def fails(config):
    raise RuntimeError("no torch [here]")


def judge(arrays):
    return [Part("x is there", True, f"{len(arrays['x'])} values")]


def row(claim_id, run, kind="experiment"):
    claim = Claim(claim_id, f"Said of {claim_id} [x].", "True.", kind, "09", "Nobody 2020")
    return Experiment(claim, Two(), run=run, judge=judge, draw=None)  # no figures are drawn


@pytest.fixture
def run(tmp_path, monkeypatch):
    """`bnlab experiment ...` in an empty folder, on a ledger of three rows, without figures."""
    claim = Claim("P2", "A word.", "Another.", "definition", "09", "Nobody 2021")
    entries = [row("P1", count), Definition(claim, "WRONG"), row("P3", count)]
    rows = {entry.claim.id: entry for entry in entries}
    figure = selection.find("figure1")
    monkeypatch.setattr(ledger_module, "runnable", lambda: {**rows, "figure1": figure})
    monkeypatch.setattr(selection, "runnable", lambda: {**rows, "figure1": figure})
    quick = row("figure1", count, "figure")  # in the place of the real one, which takes a minute
    monkeypatch.setattr(campaign, "runnable", lambda: {**rows, "figure1": quick})
    monkeypatch.setattr(reporting, "_write_figure", lambda path, *_: path.write_bytes(b"figure"))
    monkeypatch.setattr(results, "course_files", lambda: tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        return CliRunner().invoke(cli.app, ["experiment", *map(str, arguments)])

    run.rows, run.folder = rows, tmp_path
    return run


def names(folder):
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def test_list_shows_what_can_be_run(run):
    lines = run("list").output.splitlines()
    assert [line.split()[0] for line in lines] == ["P1", "P2", "P3", "figure1"]
    assert re.fullmatch(r"P1 +09 +experiment +2 seeds +Said of P1 \[x\]\. *", lines[0])
    assert re.fullmatch(r"P2 +09 +definition +by source +A word\. *", lines[1])


def test_run_prints_the_verdict_and_says_where_the_files_are(run):
    result = run("run", "p1", "--out", "there")
    assert result.exit_code == 0
    assert (
        'P1, notebook 09. Said: "Said of P1 [x]." Run: 2 seeds (0 and 1). (1) x is' in result.output
    )
    assert "1 of 1 verdicts, with their files, are in there." in result.output
    assert re.search(r"P1 .* 2/2 .* left", result.output)
    assert names(run.folder / "there") == ["P1.csv", "P1.json", "P1.png", "P1.txt"]


def test_a_folder_that_cannot_be_written_is_told_before_the_first_seed(run):
    (run.folder / "there").write_text("a file where the folder should be")
    run.rows["P1"] = row("P1", fails)  # it would say so if it were run
    result = run("run", "P1", "--out", "there")
    assert (result.exit_code, type(result.exception)) == (1, SystemExit)
    assert "cannot be written in" in last_line(result)
    assert "P1" not in last_line(result)


def test_the_list_says_how_long_the_kept_run_took(run):
    kept = run.folder / "data" / "results"
    kept.mkdir(parents=True)
    for name, seconds in (("P1", 12), ("P3", 200)):
        results.save(kept / f"{name}.json", {"seconds": seconds}, {})
    lines = run("list").output.splitlines()
    assert re.fullmatch(r"P1 +09 +experiment +2 seeds +12 s +Said of P1 \[x\]\. *", lines[0])
    assert re.fullmatch(r"P3 +09 +experiment +2 seeds +3 min +Said of P3 \[x\]\. *", lines[2])


def test_results_go_to_bnlab_results_unless_told(run):
    run("run", "P1")
    assert (run.folder / "bnlab-results" / "P1.txt").is_file()


def test_the_number_of_seeds_is_yours(run):
    assert "Run: 5 seeds (0 to 4). (1) x" in run("run", "P1", "--seeds", 5).output
    about = json.loads((run.folder / "bnlab-results" / "P1.json").read_text())
    assert about["config"]["seeds"] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("seeds", [0, 1])
def test_a_verdict_needs_two_seeds(run, seeds):
    assert run("run", "P1", "--seeds", seeds).exit_code == 2


def test_run_all_writes_the_ledger_and_runs_the_figure_too(run):
    result = run("run", "all")
    assert result.exit_code == 0
    assert "4 of 4 verdicts" in result.output
    folder = run.folder / "bnlab-results"
    with (folder / "ledger.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["id"], row["verdict"], row["measured"]) for row in rows] == [
        ("P1", "RIGHT", "2 values"),
        ("P2", "WRONG", "nothing: by source"),
        ("P3", "RIGHT", "2 values"),
    ]
    assert rows[0]["said"] == "Said of P1 [x]."
    files = [f"{name}.{end}" for name in ("P1", "P3", "figure1")
             for end in ("csv", "json", "png", "txt")]  # fmt: skip
    assert names(folder) == sorted([*files, "P2.txt", "ledger.csv"])


def test_keep_puts_the_arrays_where_the_course_looks_for_them(run, monkeypatch):
    monkeypatch.setattr(results, "course_files", lambda: run.folder)
    assert run("run", "all", "--keep").exit_code == 0
    assert names(run.folder / "data" / "results") == ["P1.json", "P3.json", "figure1.json"]
    assert results.stored("P1")[0]["x"].tolist() == [0.0, 1.0]
    assert run("run", "P1").exit_code == 0
    assert not (run.folder / "data" / "results" / "P2.json").exists()


def test_without_keep_the_course_stays_as_it_is(run, monkeypatch):
    monkeypatch.setattr(results, "course_files", lambda: run.folder)
    assert run("run", "all").exit_code == 0
    assert not (run.folder / "data").exists()


@pytest.mark.parametrize("other", [["--seeds", 3], ["--data", "somewhere"]])
def test_what_is_kept_is_the_experiment_of_the_course(run, other):
    result = run("run", "P1", "--keep", *other)
    assert result.exit_code == 1
    assert "--keep is for the experiment as the course shows it: leave out" in result.output


def test_one_failure_does_not_stop_the_others(run):
    run.rows["P1"] = row("P1", fails)
    result = run("run", "all")
    assert result.exit_code == 1
    assert "3 of 4 verdicts" in result.output
    assert result.output.rstrip().endswith("P1 failed: RuntimeError: no torch [here]")
    assert (run.folder / "bnlab-results" / "P3.txt").is_file()


def test_alone_a_failure_is_seen_in_full(run):
    run.rows["P1"] = row("P1", fails)
    assert isinstance(run("run", "P1").exception, RuntimeError)


def test_ctrl_c_keeps_what_is_finished(run):
    run.rows["P1"] = row("P1", interrupted)
    result = run("run", "P1")
    assert result.exit_code == 130
    assert "kept in bnlab-results; the same command goes on there" in result.output
    assert names(run.folder / "bnlab-results" / "parts" / "P1") == ["seed-0.npz"]
    assert not list((run.folder / "bnlab-results").glob("P1.*"))
    run.rows["P1"] = row("P1", count)
    assert run("run", "P1").exit_code == 0


def test_progress_starts_where_the_last_run_stopped(run):
    run("run", "P1")
    bars = []
    real = campaign.progress_bar

    def watched(console):
        bars.append(real(console))
        add = bars[-1].add_task
        bars[-1].add_task = lambda *a, **k: bars.append(k) or add(*a, **k)
        return bars[0]

    campaign.progress_bar = watched
    try:
        run("run", "P1", "--seeds", 4)
    finally:
        campaign.progress_bar = real
    assert bars[1] == {"total": 4, "completed": 2}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["P9"], "There is no experiment 'P9'; `bnlab experiment list` shows the names"),
        (["P1", "--data", "."], "P1 runs on the digits only; --data DIR is for figure1"),
        (["all", "--data", "."], "P1 runs on the digits only"),
        (["figure1", "--data", "no-such"], "load_idx_folder needs train-images-idx3-ubyte"),
    ],
)
def test_what_cannot_be_run_gets_one_sentence(run, arguments, sentence):
    result = run("run", *arguments)
    assert result.exit_code == 1
    assert result.output.startswith(sentence)
    assert len(result.output.splitlines()) == 1
    assert not (run.folder / "bnlab-results").exists()


def last_line(result):
    """The sentence at the end; an exception of its own would have got past the command."""
    assert isinstance(result.exception, SystemExit)
    return result.output.splitlines()[-1]


def no_room(config):
    raise files.ResultsError("P1.csv cannot be written")


def test_without_a_place_for_results_the_whole_ledger_stops_at_once(run):
    run.rows["P1"] = row("P1", no_room)
    result = run("run", "all")
    assert (result.exit_code, last_line(result)) == (1, "P1.csv cannot be written")
    assert not (run.folder / "bnlab-results" / "P3.txt").exists()


def needs_torch(config):
    import no_such_torch  # noqa: F401


def test_a_package_that_is_missing_gets_one_sentence(run):
    run.rows["P1"] = row("P1", needs_torch)
    result = run("run", "P1")
    assert (result.exit_code, last_line(result)) == (
        1,
        "P1 cannot run: No module named 'no_such_torch'; `bnlab doctor` says what to install",
    )


@pytest.mark.parametrize("name", ["P1", "all", "figure1"])
@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"PK", "digits.npz is not the file bnlab came with"), (None, "which is missing; install")],
    ids=["damaged", "missing"],
)
def test_digits_that_cannot_be_read_get_one_sentence(run, monkeypatch, name, content, sentence):
    (run.folder / "data").mkdir()
    if content:
        (run.folder / "data" / "digits.npz").write_bytes(content)
    monkeypatch.setattr("bnlab.data.course_files", lambda: run.folder)
    result = run("run", name)
    assert result.exit_code == 1
    assert sentence in last_line(result)
    assert not (run.folder / "bnlab-results").exists()


def test_two_jobs_give_the_same_files(run, monkeypatch):
    jobs, real = [], campaign.joblib.parallel_config

    def parallel_config(n_jobs):
        jobs.append(n_jobs)
        return real(n_jobs=n_jobs)

    monkeypatch.setattr(campaign.joblib, "parallel_config", parallel_config)
    run("run", "all", "--out", "one")
    run("run", "all", "--jobs", 2, "--out", "two")
    assert jobs == [1, 2]
    for name in ("P1.csv", "P3.txt", "ledger.csv"):
        assert (run.folder / "one" / name).read_text() == (run.folder / "two" / name).read_text()


def test_a_run_of_fewer_seeds_says_what_it_cannot_tell(run):
    entry = row("P1", count)
    parts = [Part("x is there", True, "2 values"), Part("in every seed", None, "1 value")]
    run.rows["P1"] = dataclasses.replace(
        entry, judge=lambda arrays: parts, config=Two((0, 1, 2)), whole=Two((0, 1, 2))
    )
    said = "This run cannot tell part (2): it has 2 of 3 seeds."
    assert said in " ".join(run("run", "P1", "--seeds", 2).output.split())
    assert said in " ".join((run.folder / "bnlab-results" / "P1.txt").read_text().split())
    assert "to tell part (2)." in run("run", "P1").output


# The real thing


@pytest.mark.slow
def test_a_real_experiment_from_a_real_command_line(tmp_path):
    start = [sys.executable, "-c", "from bnlab.tools.cli import app; app()"]
    command = [*start, "experiment", "run", "S2", "--seeds", "2", "--jobs", "2"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "Verdict: RIGHT." in done.stdout
    assert (tmp_path / "bnlab-results" / "S2.png").read_bytes().startswith(b"\x89PNG")
    assert len(list(tmp_path.glob("bnlab-results/parts/S2/seed-*.npz"))) == 2


def test_the_real_list_names_every_row():
    output = CliRunner().invoke(cli.app, ["experiment", "list"], env={"COLUMNS": "200"}).output
    first = [line.split()[0] for line in output.splitlines() if not line.startswith(" ")]
    assert first == [*ids(), "figure1"]
