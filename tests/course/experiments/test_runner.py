"""Running experiments into a folder: resumed, never half-written, alike on any backend."""

import csv
import dataclasses
import errno
import gzip
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import joblib
import numpy as np
import pytest

import bnlab
from bnlab.course.experiments import fingerprint as fingerprints
from bnlab.course.experiments import reporting, results, runner, selection
from bnlab.course.experiments.evidence import Claim, Definition, Evidence, Experiment
from bnlab.course.experiments.files import (
    ResultsError,
    load_part,
    replacing,
    save_part,
)
from bnlab.course.experiments.ledger import ledger, runnable
from bnlab.course.experiments.panels import strip
from bnlab.course.experiments.reporting import paragraph
from bnlab.course.experiments.rule import Part
from bnlab.course.experiments.runner import NotSeedBySeed, join, run, units
from bnlab.course.experiments.seeds import over_seeds
from bnlab.course.experiments.selection import with_data, with_seeds
from bnlab.course.lessons.nb08 import paper_figure

PACKAGE, BENCH = Path(bnlab.__file__).parent, "course/experiments/bench.py"

CLAIM = Claim("R9", "Squares grow.", "They do.", "experiment", "07", "Euclid")


@dataclass(frozen=True)
class Squares:
    """Squares of the seeds; each run adds a line to the log."""

    log: str
    seconds: float = 0.0
    seeds: tuple[int, ...] = (0, 1, 2, 3)


def one_square(config, seed):
    time.sleep(config.seconds)
    with open(config.log, "a", encoding="utf-8") as log:
        log.write(f"{seed}\n")
    return {"square": seed**2, "curve": np.full(3, 0.1 * seed)}


def squares(config):
    return {"scale": 2.5, "names": ["a", "b"], **over_seeds(one_square, config)}


def with_sizes(config):
    return {"sizes": np.arange(3), **over_seeds(one_square, config)}


def wall_time(config):
    return {"seconds": time.perf_counter(), **over_seeds(one_square, config)}


def without_seeds(config):
    with open(config.log, "a", encoding="utf-8") as log:
        log.write("whole\n")
    return {"x": np.arange(6.0).reshape(2, 3), "n": 7, "flag": True}


def judge(arrays):
    grow = bool((np.diff(arrays.get("square", [0, 1])) > 0).all())
    return [Part("each is larger than the last", grow, f"up to {np.max(arrays.get('square', 1))}")]


def draw(arrays):
    return strip({"squares": arrays.get("square", 1)}, "square")


@dataclass(frozen=True)
class NoSeeds:
    """One run."""

    log: str


@pytest.fixture(autouse=True)
def _no_figures(request, monkeypatch):
    """A figure takes half a second: only the tests that are about figures draw them."""
    if "figures" not in request.fixturenames:
        monkeypatch.setattr(
            reporting, "_write_figure", lambda path, *_: path.write_bytes(b"figure")
        )


@pytest.fixture
def figures():
    """Ask for it to have figures drawn."""


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "log"
    path.touch()
    return path


def seeds_run(log):
    return sorted(map(int, log.read_text().split()))


def experiment(log, how=squares, one_seed=None, **changes):
    config = Squares(str(log), **changes)
    return Experiment(CLAIM, config, run=how, one_seed=one_seed, judge=judge, draw=draw)


# ---------------------------------------------------------------- seeds


def test_seeds_are_the_first_ones_then_the_next_numbers(log):
    own = experiment(log, seeds=(3, 5))
    assert with_seeds(own, None) is own
    assert with_seeds(own, 1).config.seeds == (3,)
    assert with_seeds(own, 4).config.seeds == (3, 5, 6, 7)
    whole = Experiment(CLAIM, NoSeeds(str(log)), run=without_seeds, judge=judge, draw=draw)
    assert with_seeds(whole, 4) is whole


def test_a_unit_is_one_seed_or_all_there_is(log):
    assert [unit.config.seeds for unit in units(experiment(log, seeds=(3, 5)))] == [(3,), (5,)]
    whole = Experiment(CLAIM, NoSeeds(str(log)), run=without_seeds, judge=judge, draw=draw)
    assert units(whole) == [whole]
    assert units(Definition(CLAIM, "RIGHT")) == []


def test_join_equals_one_run_of_all_seeds(log):
    config = Squares(str(log), seeds=(4, 1, 2))
    parts = [squares(dataclasses.replace(config, seeds=(seed,))) for seed in config.seeds]
    together, expected = join(parts), squares(config)
    assert list(together) == list(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(together[name], array)


def test_join_takes_nan_for_equal_to_nan():
    fixed = np.array([1.0, np.nan])
    parts = [{"fixed": fixed.copy(), "x": np.array([np.nan])} for _ in range(2)]
    np.testing.assert_array_equal(join(parts)["fixed"], fixed)
    assert join(parts)["x"].shape == (2,)


@pytest.mark.parametrize(
    "parts",
    [
        [{"seconds": 1.0}, {"seconds": 2.0}],
        [{"rms": np.array([1.0, 2.0])}, {"rms": np.array([1.0, 3.0])}],
        [{"x": np.ones((1, 2))}, {"x": np.ones((1, 3))}],
        [{"x": np.ones(1)}, {"y": np.ones(1)}],
        [{"x": np.ones(1)}, {"x": np.ones(1), "y": 1}],
        [{"x": 0}, {"x": 0.0}],
    ],
)
def test_join_refuses_what_is_not_seed_by_seed(parts):
    with pytest.raises(NotSeedBySeed):
        join(parts)


def small(config):
    """The same config with so little work that only the form of its result is left."""
    fewer = {"steps": 4, "early_steps": 4, "late_steps": 4, "block_steps": 4, "blocks": 4,
             "batches": 3, "every": 2, "epochs": 1, "budgets": (2, 4)}  # fmt: skip
    mine = {name: value for name, value in fewer.items() if hasattr(config, name)}
    for name in {"lrs", "plain_lrs", "bn_lrs", "block_lrs"} & set(vars(config)):
        mine[name] = getattr(config, name)[:2]
    return dataclasses.replace(config, seeds=config.seeds[:2], **mine)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("claim_id", [i for i, e in ledger().items()
                                      if hasattr(getattr(e, "config", None), "seeds")])  # fmt: skip
def test_join_is_right_for_every_row_of_the_ledger(claim_id):
    entry = ledger()[claim_id]
    entry = dataclasses.replace(entry, config=small(entry.config))
    try:
        together = join([unit.run(unit.config) for unit in units(entry)])
    except NotSeedBySeed:
        assert claim_id in {"D6", "W8"}, "run whole: finished seeds do not help it"
        return
    expected = entry.run(entry.config)
    assert list(together) == list(expected)
    for name, array in expected.items():
        assert np.shape(together[name]) == np.shape(array)
        if "seconds" not in name:
            np.testing.assert_array_equal(together[name], array)


# ---------------------------------------------------------------- files


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"),
                                   PermissionError(errno.EACCES, "Permission denied")])  # fmt: skip
def test_what_cannot_be_written_gets_a_sentence_and_the_old_file_stays(tmp_path, error):
    def write(text, error=None):
        with replacing(tmp_path / "x.txt") as new:
            new.write_text(text)
            if error:
                raise error

    write("old")
    with pytest.raises(ResultsError, match=rf"x.txt .* in .* \({error.strerror}\); make room"):
        write("half", error)
    assert (tmp_path / "x.txt").read_text() == "old"
    assert os.listdir(tmp_path) == ["x.txt"]


def test_a_damaged_part_counts_as_none_or_is_right(tmp_path):
    """Cut anywhere, or with any bit of a seeded choice flipped, as a power cut may leave it."""
    arrays, path = {"a": np.arange(5.0), "n": 7}, tmp_path / "x.npz"
    save_part(path, {"seed": 1}, arrays)
    whole = path.read_bytes()
    for cut in range(0, len(whole), 7):
        path.write_bytes(whole[:cut])
        assert load_part(path, {"seed": 1}) is None
    for bit in np.random.default_rng(0).choice(8 * len(whole), 800, replace=False):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << (bit % 8)
        path.write_bytes(flipped)
        kept = load_part(path, {"seed": 1})
        assert kept is None or (kept[0]["n"], kept[0]["a"].tolist()) == (7, [0, 1, 2, 3, 4])


def test_a_damaged_part_is_computed_again(log, tmp_path):
    run(experiment(log, seeds=(0, 1)), tmp_path / "out")
    part = tmp_path / "out" / "parts" / "R9" / "seed-1.npz"
    part.write_bytes(part.read_bytes()[:100])
    assert run(experiment(log, seeds=(0, 1)), tmp_path / "out").measured == "up to 1"
    assert seeds_run(log) == [0, 1, 1]


def test_arrays_come_back_as_they_were(tmp_path):
    arrays = {"about": np.arange(3), "file": 2.5, "f": np.float32([1, np.nan]), "t": ["x", "yz"],
              "flag": True, "n": 7, "name": "a"}  # fmt: skip
    save_part(tmp_path / "x.npz", {"seed": 1}, arrays, seconds=2.5)
    back, seconds = load_part(tmp_path / "x.npz", {"seed": 1})
    assert seconds == 2.5
    assert list(back) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(back[name], array)
    assert [type(back[name]) for name in ("file", "flag", "n", "name")] == [float, bool, int, str]
    assert back["f"].dtype == np.float32
    assert load_part(tmp_path / "x.npz", {"seed": 2}) is None
    assert load_part(tmp_path / "y.npz", {"seed": 1}) is None


def test_the_verdict_is_one_paragraph():
    evidence = experiment("log").read({"square": np.array([0, 1])})
    text = paragraph(evidence)
    assert "\n\n" not in text
    assert max(map(len, text.splitlines())) <= 88
    assert " ".join(text.split()) == (
        'R9, notebook 07. Said: "Squares grow." Run: 4 seeds (0 to 3). (1) each is larger '
        "than the last: holds (up to 1). Verdict: RIGHT. What is true: They do. [Euclid]"
    )


@pytest.mark.parametrize(
    ("answers", "verdict", "sentence"),
    [
        ([True, None], "CANNOT TELL", "This run is too small, or its spread too large, to tell "
         "part (2). "),
        ([None, True, False, None], "IMPRECISE", "This run is too small, or its spread too large, "
         "to tell parts (1), (4). "),
        ([True, False], "IMPRECISE", ""),
    ],
)  # fmt: skip
def test_a_run_says_what_it_is_too_small_for_whatever_its_verdict(answers, verdict, sentence):
    parts = [Part("they grow", answer, "up to 9") for answer in answers]
    text = " ".join(paragraph(Evidence(CLAIM, parts)).split())
    assert f"Verdict: {verdict}. {sentence}What is true" in text


def test_a_definition_is_decided_by_its_source():
    text = " ".join(paragraph(Definition(CLAIM, "RIGHT").evidence()).split())
    assert text == (
        'R9, notebook 07. Said: "Squares grow." Verdict: RIGHT, by source. '
        "What is true: They do. [Euclid]"
    )


# ---------------------------------------------------------------- run


def test_run_leaves_table_figure_config_and_verdict(figures, log, tmp_path):
    out, entry = tmp_path / "out", experiment(log)
    evidence = run(entry, out)
    assert (evidence.verdict, evidence.measured) == ("RIGHT", "up to 9")
    assert sorted(p.name for p in out.iterdir() if p.is_file()) == [
        "R9.csv", "R9.json", "R9.png", "R9.txt"]  # fmt: skip
    about = json.loads((out / "R9.json").read_text())
    assert about["config"] == {"log": str(log), "seconds": 0.0, "seeds": [0, 1, 2, 3]}
    assert (about["claim"], len(about["code"])) == ("R9", 12)
    assert (about["verdict"], about["setting"]) == ("RIGHT", "4 seeds (0 to 3)")
    assert (out / "R9.txt").read_text() == paragraph(evidence) + "\n"
    assert (out / "R9.png").read_bytes().startswith(b"\x89PNG")
    with (out / "R9.csv").open() as file:
        assert json.loads(next(file).removeprefix("# ")).items() <= about.items()
        rows = list(csv.reader(file))
    assert rows[0] == ["array", "index", "value"]
    assert ["scale", "", "2.5"] in rows
    assert ["names", "1", "b"] in rows
    assert ["square", "3", "9"] in rows
    assert ["curve", "2 1", "0.2"] in rows


def test_what_a_run_leaves_can_be_kept_and_read_again(log, tmp_path, monkeypatch):
    monkeypatch.setattr(results, "course_files", lambda: tmp_path)
    entry = experiment(log, None, one_seed=one_square)
    evidence = run(entry, tmp_path / "out")
    arrays, made = results.load(tmp_path / "out" / "R9.json")
    assert results.keep(entry, arrays, made["seconds"]) == evidence
    arrays, made = results.stored("R9")
    np.testing.assert_array_equal(arrays["square"], [0, 1, 4, 9])
    np.testing.assert_allclose(arrays["curve"][2], 3 * [0.2])
    assert made["config"]["seeds"] == [0, 1, 2, 3]
    assert entry.read(arrays).verdict == "RIGHT"


@pytest.mark.parametrize(
    "value",
    [1 / 3, 7, True, "x", [1, 2], ["a", "b"], np.arange(6.0).reshape(2, 3) / 7, np.array([True]),
     np.float32([0.1, np.nan, np.inf]), np.array(["x", "y"]), (0.5, 0.25)],
    ids=repr,
)  # fmt: skip
def test_results_keep_ten_digits_of_anything(tmp_path, value):
    results.save(tmp_path / "x.json", {"claim": "R9"}, {"a": value})
    arrays, made = results.load(tmp_path / "x.json")
    assert made == {"claim": "R9"}
    if np.asarray(value).dtype.kind == "f":
        np.testing.assert_allclose(arrays["a"], value, rtol=5e-10)
    else:
        np.testing.assert_array_equal(arrays["a"], value)
        assert np.asarray(arrays["a"]).dtype.kind == np.asarray(value).dtype.kind


def test_what_is_not_kept_is_said_in_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "course_files", lambda: tmp_path)
    assert results.stored_evidence(experiment("log")) is None
    with pytest.raises(FileNotFoundError, match=r"no arrays of R9 are kept.*run R9 --keep"):
        results.stored("R9")


def test_the_table_has_a_row_for_each_number(log, tmp_path):
    run(experiment(log, with_sizes), tmp_path)
    header, columns, *rows = (tmp_path / "R9.csv").read_text().splitlines()
    assert (header[:2], columns) == ("# ", "array,index,value")
    assert len(rows) == 3 + 4 + 4 * 3


def test_a_finished_seed_is_not_run_again(log, tmp_path):
    ticks = []
    run(experiment(log, seeds=(0, 1)), tmp_path / "out", lambda: ticks.append(1))
    assert runner.finished(experiment(log), tmp_path / "out") == 2
    evidence = run(experiment(log), tmp_path / "out", lambda: ticks.append(1))
    assert seeds_run(log) == [0, 1, 2, 3]
    assert len(ticks) == 4
    assert evidence.measured == "up to 9"
    before = (tmp_path / "out" / "R9.csv").read_text()
    run(experiment(log), tmp_path / "out", lambda: ticks.append(1))
    assert seeds_run(log) == [0, 1, 2, 3]
    assert len(ticks) == 4
    assert (tmp_path / "out" / "R9.csv").read_text() == before


@pytest.mark.parametrize("change", ["config", "code", "version"])
def test_a_result_of_something_else_does_not_count(log, tmp_path, monkeypatch, change):
    entry = experiment(log, seeds=(0, 1))
    run(entry, tmp_path / "out")
    if change == "config":
        entry = experiment(log, seeds=(0, 1), seconds=1e-6)
    elif change == "code":
        monkeypatch.setattr(runner, "fingerprint", lambda experiment: "0" * 12)
    else:
        monkeypatch.setattr(results, "__version__", "99")
    run(entry, tmp_path / "out")
    assert seeds_run(log) == [0, 0, 1, 1]


def test_code_that_changes_while_it_runs_gets_a_sentence(log, tmp_path, monkeypatch):
    codes = iter("abcdefghijklmnop")
    monkeypatch.setattr(runner, "fingerprint", lambda experiment: next(codes))
    with pytest.raises(ResultsError, match=r"code of R9 was changed while it ran.* run the same"):
        run(experiment(log), tmp_path / "out")


def depends_on(name):
    """Names below bnlab of the files that a claim's fingerprint covers."""
    experiment = ledger()[name]
    file = sys.modules[(experiment.one_seed or experiment.run).__module__].__file__
    return {path.relative_to(PACKAGE).as_posix() for path in fingerprints._files(file)}


def test_a_result_depends_on_its_lesson_the_bench_and_the_core():
    files = depends_on("W1")
    assert {"course/lessons/nb08/learning_rates.py", "course/experiments/bench.py"} <= files
    assert {"batchnorm.py", "channels.py", "layers/norms.py", "functional/basic.py"} <= files
    assert not any(name.startswith("course/experiments/") for name in files - {BENCH})
    assert "course/lessons/nb08/landscape.py" not in files
    assert not any(name.startswith(("tools", "course/exercises")) for name in files)
    assert "course/lessons/nb08/residual.py" in depends_on("W3"), "a lesson's file it imports"


@pytest.mark.parametrize("changed", ["own", "imported", "other"])
def test_the_fingerprint_follows_the_source(tmp_path, monkeypatch, changed):
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("own", "imported", "other"):
        (tmp_path / f"{name}.py").write_text("import imported\n" if name == "own" else "x = 1\n")
    monkeypatch.setattr(fingerprints, "_counts", lambda name: name in ("imported", "other"))
    run = SimpleNamespace(__module__="own")
    entry = SimpleNamespace(one_seed=None, run=run)
    monkeypatch.setitem(sys.modules, "own", SimpleNamespace(__file__=str(tmp_path / "own.py")))
    before = fingerprints.fingerprint(entry)
    with (tmp_path / f"{changed}.py").open("a") as file:
        file.write("y = 2\n")
    assert (fingerprints.fingerprint(entry) != before) == (changed != "other")


def test_an_experiment_that_is_not_seed_by_seed_is_run_whole_and_kept(log, tmp_path):
    entry = experiment(log, wall_time, seeds=(0, 1))
    run(entry, tmp_path / "out")
    assert seeds_run(log) == [0, 0, 1, 1], "each seed, and then all together"
    run(entry, tmp_path / "out")
    assert seeds_run(log) == [0, 0, 1, 1]
    kept = np.load(tmp_path / "out" / "parts" / "R9" / "whole.npz")
    np.testing.assert_array_equal(kept["_square"], [0, 1])


def test_without_seeds_one_run_is_enough(log, tmp_path):
    entry = Experiment(CLAIM, NoSeeds(str(log)), run=without_seeds, judge=judge, draw=draw)
    for _ in range(2):
        assert run(entry, tmp_path / "out").verdict == "RIGHT"
    assert log.read_text() == "whole\n"


def test_a_definition_has_a_verdict_and_nothing_else(tmp_path):
    evidence = run(Definition(CLAIM, "CONTESTED"), tmp_path)
    assert evidence.verdict == "CONTESTED"
    assert os.listdir(tmp_path) == ["R9.txt"]


@pytest.mark.parametrize(
    "config",
    [
        {"n_jobs": 2, "backend": "threading"},
        pytest.param({"n_jobs": 2, "backend": "loky"}, marks=pytest.mark.slow),
        # gives no result before the last, as ray's does
        pytest.param({"n_jobs": 2, "backend": "multiprocessing"}, marks=pytest.mark.slow),
    ],
    ids=lambda config: config["backend"],
)
def test_seeds_in_parallel_give_the_same(log, tmp_path, config):
    alone = run(experiment(log), tmp_path / "alone")
    with joblib.parallel_config(**config):
        together = run(experiment(log), tmp_path / "together")
    assert together == alone
    tables = [(tmp_path / name / "R9.csv").read_text() for name in ("alone", "together")]
    assert tables[0] == tables[1]
    assert seeds_run(log) == [0, 0, 1, 1, 2, 2, 3, 3]


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_the_same_call_runs_on_a_dask_cluster(log, tmp_path):
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=False,
                                 dashboard_address=None) as cluster,
        distributed.Client(cluster),
        joblib.parallel_config(backend="dask"),
    ):  # fmt: skip
        evidence = run(experiment(log), tmp_path / "out")
    assert evidence.measured == "up to 9"
    assert seeds_run(log) == [0, 1, 2, 3]


@pytest.mark.skipif(os.name == "nt", reason="kill -9 is POSIX's")
def test_a_killed_run_leaves_nothing_half_written_and_goes_on(log, tmp_path):
    out = tmp_path / "out"
    code = (
        "import sys; from pathlib import Path; import test_runner as t;"
        "t.run(t.experiment(sys.argv[1], seconds=0.3), Path(sys.argv[2]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(log), str(out)], cwd=Path(__file__).parent
    )
    try:
        end = time.monotonic() + 60
        while not list(out.glob("parts/R9/*.npz")) and time.monotonic() < end:
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    there = seeds_run(log)
    assert 1 <= len(there) < 4
    assert not list(out.glob("R9.*"))
    for part in out.glob("parts/R9/*.npz"):
        assert np.load(part)["_square"].shape == (1,)
    run(experiment(log, seconds=0.3), out)
    again = seeds_run(log)
    assert set(again) == {0, 1, 2, 3}
    assert len(again) <= 5, "the seed that was being run, and no other, may be run twice"


# ---------------------------------------------------------------- names and data


@pytest.mark.parametrize("name", ["S7", "s7"])
def test_an_experiment_is_found_by_its_id(name):
    assert selection.find(name) is ledger()["S7"]


def test_an_unknown_name_says_where_the_names_are():
    with pytest.raises(ValueError, match="no experiment 'S99'; `bnlab experiment list`"):
        selection.find("S99")


def test_figure1_is_no_row_of_the_ledger():
    assert selection.find("Figure1").claim.id == "figure1"
    assert "figure1" not in ledger()
    assert list(runnable()) == [*ledger(), "figure1"]


def test_other_data_are_for_figure1_alone(tmp_path):
    with pytest.raises(ValueError, match="S7 runs on the digits only"):
        with_data(ledger()["S7"], str(tmp_path))
    with pytest.raises(FileNotFoundError, match="load_idx_folder needs train-images"):
        with_data(selection.find("figure1"), str(tmp_path))
    assert with_data(ledger()["S7"], "digits") is ledger()["S7"]


# ---------------------------------------------------------------- figure 1


@pytest.fixture
def idx_folder(tmp_path):
    """A folder in MNIST's format: 120 and 40 pictures of 6 x 6, as easy as can be."""
    folder, rng = tmp_path / "tiny", np.random.default_rng(0)
    folder.mkdir()
    for part, count in (("train", 120), ("t10k", 40)):
        labels = np.arange(count, dtype=np.uint8) % 10
        pictures = rng.integers(0, 60, (count, 6, 6), dtype=np.uint8)
        pictures.reshape(count, 36)[np.arange(count), 3 * labels] = 255
        for kind, array in (("images-idx3", pictures), ("labels-idx1", labels)):
            header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
            path = folder / f"{part}-{kind}-ubyte.gz"
            path.write_bytes(gzip.compress(header + array.tobytes()))
    return folder


def test_figure1_runs_on_a_folder_in_mnist_format(figures, idx_folder, tmp_path):
    entry = with_seeds(with_data(paper_figure.figure_1(), str(idx_folder)), 2)
    assert (entry.config.steps, entry.config.batch_size) == (50_000, 60)
    small = {"steps": 60, "every": 20, "batch_size": 30, "lrs": (1.0, 3.0)}
    entry = dataclasses.replace(entry, config=dataclasses.replace(entry.config, **small))
    evidence = run(entry, tmp_path / "out")
    assert evidence.claim.correct.endswith("here: tiny.")
    arrays = load_part(tmp_path / "out" / "parts" / "figure1" / "seed-1.npz", None)
    assert arrays is None, "about something"
    joined = join([unit.run(unit.config) for unit in units(entry)])
    assert joined["steps"].tolist() == [0, 20, 40, 60]
    assert joined["accuracy_bn"].shape == joined["accuracy_plain"].shape == (2, 4)
    assert joined["percentiles_bn"].shape == (2, 3, 4)
    assert (np.diff(joined["percentiles_bn"], axis=1) >= 0).all()
    assert joined["accuracy_bn"][:, -1].min() > 0.5


def test_figure1_splits_the_training_images_and_leaves_the_test_images(idx_folder):
    parts = paper_figure.images(str(idx_folder), seed=1)
    assert (len(parts.x_train), len(parts.x_val), len(parts.x_test)) == (100, 20, 40)
    other = paper_figure.images(str(idx_folder), seed=2)
    np.testing.assert_array_equal(parts.x_test, other.x_test)
    assert (parts.x_val != other.x_val).any()
    rows = {row.tobytes() for row in parts.x_train} & {row.tobytes() for row in parts.x_val}
    assert not rows


def test_figure1_both_sides_start_from_the_same_weights():
    plain, normalized = (paper_figure.paper_net(64, side, seed=3) for side in (False, True))
    np.testing.assert_array_equal(plain[0].weight, normalized[0].weight)
    assert [layer.weight.shape for layer in plain[::2]] == [
        (100, 64), (100, 100), (100, 100), (10, 100)]  # fmt: skip


def test_figure1_chooses_each_rate_on_validation_images(monkeypatch):
    config = paper_figure.Figure1(steps=40, every=20, lrs=(1e-3, 3.0), seeds=(0,))
    arrays = paper_figure.figure_1().run(config)
    assert arrays["lr_bn"].tolist() == [3.0]
    real, chosen = paper_figure.load_digits, []

    def validation_labels_wrong(seed, dtype):
        digits = real(seed, dtype)
        chosen.append(seed)
        return dataclasses.replace(digits, y_val=(digits.y_val + 1) % 10)

    monkeypatch.setattr(paper_figure, "load_digits", validation_labels_wrong)
    arrays = paper_figure.figure_1().run(config)
    assert chosen == [0]
    assert arrays["lr_bn"].tolist() == [1e-3], "the rate that learns least fits wrong labels best"


BETTER, SAME, WORSE, OPEN = (
    np.array([0.97, 0.98, 0.97, 0.98]),
    0.95 - 1e-4 * np.arange(5, 9),
    np.array([0.93, 0.92, 0.93, 0.92]),
    np.array([0.94, 0.97, 0.96, 0.94]),
)


def planted(final_bn, slow_bn=1, data="digits"):
    """Accuracies at steps 0, 10, 20, 30: without batch norm 90% is there at step 20."""
    plain = np.tile([0.1, 0.5, 0.92, 0.95], (4, 1))
    bn = np.tile([0.1, 0.95, 0.95, 0.95], (4, 1))
    bn[:, 1:slow_bn] = 0.5
    bn[:, -1] = final_bn
    return {
        "steps": np.array([0, 10, 20, 30]), "target": 0.9, "accuracy_plain": plain,
        "accuracy_bn": bn, "seconds_plain": np.ones(4), "seconds_bn": np.full(4, 1.5),
        "lr_plain": np.ones(4), "lr_bn": np.array([1.0, 3, 3, 1]),
        "overlap": 450 / 1145 if data == "digits" else 0.0,
    }  # fmt: skip


def two_seeds(arrays):
    return {name: a[:2] if np.shape(a)[:1] == (4,) and name != "steps" else a
            for name, a in arrays.items()}  # fmt: skip


@pytest.mark.parametrize(
    ("arrays", "verdict"),
    [
        (planted(BETTER), "RIGHT"),
        (planted(SAME), "IMPRECISE"),  # faster, worse by a hair that each seed shows
        (planted(OPEN), "CANNOT TELL"),  # faster; better or not
        (planted(BETTER, slow_bn=2), "IMPRECISE"),  # better, as fast
        (planted(BETTER, slow_bn=3), "IMPRECISE"),  # better, not faster
        (planted(WORSE, slow_bn=3), "NOT REPRODUCED"),
        (planted(WORSE - 0.1, slow_bn=4), "NOT REPRODUCED"),  # 90% never there
        (two_seeds(planted(BETTER)), "CANNOT TELL"),
    ],
)
def test_figure1_needs_both_faster_and_better(arrays, verdict):
    evidence = paper_figure.figure_1().read(arrays)
    assert evidence.verdict == verdict
    assert "takes 1.5 times as long" in evidence.measured
    assert "rates 1 without, 1, 3 with it" in evidence.measured
    criteria = [part.criterion for part in paper_figure.figure_1().read(planted(SAME)).parts]
    assert [part.criterion for part in evidence.parts] == criteria


def test_figure1_must_be_faster_in_every_seed():
    arrays = planted(BETTER)
    arrays["accuracy_bn"][0, 1:3] = 0.5  # this one gets to 90% at step 30
    assert [part.holds for part in paper_figure.figure_1().read(arrays).parts] == [None, True]


def test_figure1_cannot_tell_which_is_faster_where_none_gets_there():
    arrays = planted(WORSE - 0.1, slow_bn=4)
    arrays["accuracy_plain"][:, 1:] = 0.5
    assert paper_figure.figure_1().read(arrays).parts[0].holds is None
    arrays["accuracy_plain"][1:, 1:] = 0.95  # and in one seed none does
    assert paper_figure.figure_1().read(arrays).parts[0].holds is None


def test_figure1_says_never_if_the_accuracy_is_never_reached():
    faster, _ = paper_figure.figure_1().read(planted(WORSE - 0.1, slow_bn=4)).parts
    assert faster.measured.startswith("20 steps without, never with it")


def test_figure1_widens_its_interval_for_splits_of_the_digits_alone():
    gains = np.array([0.955, 0.965, 0.954, 0.958])
    answers = [
        paper_figure.figure_1().read(planted(gains, data=data)).parts[1].holds
        for data in ("digits", "a folder")
    ]
    assert answers == [None, True]
    small = {"steps": 4, "every": 2, "lrs": (1.0,), "seeds": (0,)}
    config = dataclasses.replace(paper_figure.FIGURE_1.config, **small)
    assert paper_figure.FIGURE_1.run(config)["overlap"] == pytest.approx(450 / 1145)


def test_figure1_draws_the_three_panels_of_the_paper():
    arrays = planted(BETTER) | {
        "percentiles_plain": np.arange(48.0).reshape(4, 3, 4), "percentiles_bn": np.ones((4, 3, 4)),
    }  # fmt: skip
    a, b, c = paper_figure.draw(arrays).figure.axes
    assert [line.get_label() for line in a.lines] == ["without batch norm", "with batch norm"]
    np.testing.assert_allclose(a.lines[0].get_ydata(), [10, 50, 92, 95])
    assert (a.get_xlabel(), a.get_ylabel()) == ("step", "test accuracy, %")
    (inset,) = a.child_axes
    assert inset.get_ylim() == (90, 100)
    np.testing.assert_allclose(inset.lines[1].get_ydata(), [10, 95, 95, 97.5])
    np.testing.assert_array_equal(b.lines[1].get_ydata(), arrays["percentiles_plain"][0, 1])
    assert b.get_ylim() == c.get_ylim()


def test_the_picture_is_the_experiments_own_figure(figures, log, tmp_path):
    other = dataclasses.replace(experiment(log), draw=lambda arrays: strip({"one": 1.0}, "one"))
    run(other, tmp_path / "other")
    run(experiment(log), tmp_path / "own")
    pictures = [(tmp_path / name / "R9.png").read_bytes() for name in ("other", "own")]
    assert pictures[0] != pictures[1]
