"""The twenty pitfalls: every symptom shows, every fix removes it, every verdict can flip."""

import ast
import dataclasses
import functools
import importlib
import inspect
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt

import bnlab
from bnlab.course.experiments.evidence import Experiment
from bnlab.course.experiments.ledger import ledger
from bnlab.course.experiments.results import stored
from bnlab.course.lessons.nb09 import pitfalls, pitfalls_leak, pitfalls_small_batches

FAMILIES = ("modes", "leak", "statistics", "small_batches", "numerics", "conventions")
MODULES = [
    importlib.import_module(f"bnlab.course.lessons.nb09.pitfalls_{name}") for name in FAMILIES
]
ALL = {
    entry.claim.id: entry
    for module in MODULES
    for entry in vars(module).values()
    if isinstance(entry, Experiment)
}


@functools.cache
def _measured(id):
    return ALL[id].run(ALL[id].config)


def test_there_are_twenty_and_the_ledger_has_them():
    assert sorted(ALL, key=lambda id: int(id[1:])) == [f"P{k}" for k in range(1, 21)]
    assert all(ledger()[id] is entry for id, entry in ALL.items())
    assert {entry.claim.notebook for entry in ALL.values()} == {"09"}


# P4's criteria were tried on seeds 0 to 7. On the fresh seeds that are kept its symptom shows in
# each, and in one the converted network stays at 95%, which is not more: its fix is left open.
FOUND = dict.fromkeys(ALL, "RIGHT") | {"P4": "CANNOT TELL"}


@pytest.mark.parametrize("id", ALL)
def test_the_symptom_shows_and_the_fix_removes_it(id):
    evidence = ALL[id].read(_measured(id))
    assert evidence.verdict == FOUND[id], evidence
    assert evidence.parts[0].holds


@pytest.mark.parametrize("id", ALL)
def test_a_run_is_kept_and_says_the_same(id):
    arrays, made = stored(id)
    assert made["config"] == json.loads(json.dumps(dataclasses.asdict(ALL[id].config)))
    assert set(arrays) == set(_measured(id))
    assert ALL[id].read(arrays).verdict == FOUND[id]


def test_the_card_says_what_was_run():
    small = dict(dataclasses.asdict(ALL["P2"].config), seeds=(0, 1, 2))
    arrays = {name: array[:3] for name, array in _measured("P2").items()}
    assert ALL["P2"].read(arrays, small).setting.endswith("8 a batch; 3 seeds (0 to 2)")
    assert ALL["P3"].read(_measured("P3")).setting.endswith("one validation batch of 16 rows with "
                                                            "mean 3")  # fmt: skip


# What the run would have given without the symptom, and with a fix that does not help: each part of
# a criterion is broken once.
FLAT, HIGH, LOW = np.full(4, 0.5), np.full(4, 0.97), np.full(4, 0.3)
STILL = np.full((4, 10), 0.95)
PLANTED = {
    "P1": ([{"refused": False}, {"by_formula": [np.zeros(5), np.ones(5)]}],
           [{"fixed": np.zeros((2, 1, 5))}]),
    "P2": ([{"forgotten": LOW}], [{"eval": np.full(4, 0.95)}]),
    "P3": ([{"no_grad": 0}, {"no_grad_mean": np.zeros(4)}],
           [{"eval_too": 1}, {"eval_too_mean": np.array([0, 0.3])}]),
    "P4": ([{"copied": np.full(8, 0.99)}, {"weights_apart": np.full(8, 1e-9)}],
           [{"converted": np.full(8, 0.95), "copied": np.full(8, 0.9)}]),
    "P5": ([{"requires_grad": FLAT}, {"before": np.full(4, 0.95), "eval": np.full(4, 0.95)},
            {"requires_grad_weights": np.full(4, 1e-9)}],
           [{"eval": LOW}]),
    "P6": ([{"poisoned": HIGH}], [{"repaired": np.full(4, 0.95)}]),
    "P7": ([{"kept": STILL}], [{"dropped": STILL - 0.2 * (np.arange(10) == 8)}]),
    "P8": ([{"batch norm": np.array([0.01, 0.01, 2])}],
           [{"layer norm": np.array([0, 0.1, 0])}, {"no norm": np.array([0, 0, 0.1])}]),
    "P9": ([{"ratio": np.ones(3)}], [{"fixed_ratio": np.full(3, 1.9)}]),
    "P10": ([{"all_gamma": np.ones(4)}, {"all_loss": np.zeros(4)}], [{"spared_gamma": FLAT}]),
    "P11": ([{"pooled_var": 0.6}, {"shared": np.zeros((8, 1))}],
            [{"own": np.full((8, 1), -6.0)}, {"own": np.zeros((8, 1))}]),
    "P12": ([{"leak_train": FLAT}, {"leak_eval": HIGH}],
            [{"shuffled_train": HIGH}, {"shuffled_eval": HIGH}]),
    "P13": ([{"not_tracked": 0.0}, {"not_tracked_alone": True}],
            [{"tracked": 0.5}, {"tracked_alone": False}]),
    "P14": ([{"one_pass": np.full(8, 1e-4)}, {"half": np.full(8, 100.0)}, {"mean_error": 0.01}],
            [{"two_pass": np.full(8, -2e-3)}, {"half_fixed": np.full(8, np.inf)},
             {"mean_fixed": 0.5}]),
    "P15": ([{"without": np.ones(3)}], [{"with": np.array([1, 1, 1.4])}]),
    "P16": ([{"usual": np.ones(2)}], [{"larger": np.array([1, 316.0])}]),
    "P17": ([{"ported": 1.0}], [{"converted": 1.155}]),
    "P18": ([{"detached": 0.0}, {"detached_sum": 0.0}], [{"through": 0.5}, {"through_sum": 3.0}]),
    "P19": ([{"means": np.zeros(3)}], [{"means_fixed": np.ones(3)}, {"error": 0.1}]),
    "P20": ([{"of_bias": 0.5}, {"of_weight": 0.0}], [{"difference": 0.5}]),
}  # fmt: skip


@pytest.mark.parametrize("id", ALL)
def test_the_verdict_follows_from_the_numbers(id):
    arrays = _measured(id) | ({"converted": np.full(8, 0.97)} if id == "P4" else {})
    sound = ALL[id].read(arrays)
    assert sound.verdict == "RIGHT"
    for planted in [*PLANTED[id][0], *PLANTED[id][1]]:
        assert set(planted) <= set(arrays)
        broken = ALL[id].read(arrays | planted)
        assert broken.verdict == "IMPRECISE", planted
        assert [p.criterion for p in broken.parts] == [p.criterion for p in sound.parts]
        assert sum(part.holds is False for part in broken.parts) == 1, planted


@pytest.mark.parametrize("id", ALL)
def test_with_neither_symptom_nor_a_fix_it_is_wrong(id):
    planted = {name: value for plants in PLANTED[id] for p in plants for name, value in p.items()}
    if id == "P4":  # both of its parts read the same numbers
        planted = {"converted": np.full(8, 0.9), "copied": np.full(8, 0.9)}
    if id == "P11":
        planted["own"] = np.full((8, 1), -6.0)
    evidence = ALL[id].read(_measured(id) | planted)
    assert {part.holds for part in evidence.parts} == {False}
    assert evidence.verdict == "WRONG"


@pytest.mark.parametrize("id", [id for id, entry in ALL.items() if entry.one_seed])
def test_two_seeds_cannot_tell(id):
    arrays = {name: array[:2] for name, array in _measured(id).items()}
    assert ALL[id].read(arrays).verdict == "CANNOT TELL"


@pytest.mark.parametrize("id", ["P2", "P4", "P5", "P6", "P10", "P12"])
def test_one_seed_that_disagrees_leaves_it_open(id):
    arrays = _measured(id)
    first = PLANTED[id][0][0]
    mixed = {name: np.append(value[:1], arrays[name][1:]) for name, value in first.items()}
    assert ALL[id].read(arrays | mixed).verdict == "CANNOT TELL"


# Id -> a line of its figure: its place, and what it shows.
SHOWN = {
    "P2": lambda a: 100 * a["forgotten"], "P3": lambda a: a["no_grad_mean"],
    "P4": lambda a: 100 * a["copied"], "P5": lambda a: 100 * a["requires_grad"],
    "P6": lambda a: 100 * a["repaired"], "P7": lambda a: 100 * np.median(a["kept"], axis=0),
    "P8": lambda a: a["batch norm"], "P9": lambda a: a["ratio"], "P10": lambda a: a["all_loss"],
    "P12": lambda a: 100 * a["leak_train"], "P13": lambda a: [a["not_tracked"]],
    "P15": lambda a: a["without"], "P16": lambda a: [a["usual"][1]],
    "P17": lambda a: [a["ported"]], "P18": lambda a: [a["detached"], a["detached_sum"]],
    "P19": lambda a: a["means"], "P20": lambda a: [a["of_weight"]],
    "P1": lambda a: np.ravel(a["fixed"][1]),
    "P14": lambda a: [a["mean_error"]],
}  # fmt: skip


@pytest.mark.parametrize("id", ALL)
def test_the_figure_shows_the_comparison(id):
    arrays = _measured(id)
    ax = ALL[id].draw(arrays)
    ax.figure.canvas.draw()
    try:
        assert ax.get_xlabel() or ax.get_ylabel()
        drawn = np.concatenate([np.ravel([line.get_xdata(), line.get_ydata()])
                                for line in ax.lines] or [[]])  # fmt: skip
        for value in np.ravel(SHOWN[id](arrays)) if id in SHOWN else []:
            assert np.isclose(drawn.astype(float), value, rtol=1e-9).any()
    finally:
        plt.close(ax.figure)


def _lines(function):
    """Lines of code of a function: no docstring, no import, no blank lines."""
    (tree,) = ast.parse(inspect.getsource(function)).body
    body = [n for n in tree.body if not isinstance(n, ast.Import | ast.ImportFrom)]
    body = body[1:] if ast.get_docstring(tree) else body
    source = inspect.getsource(function).splitlines()
    return sum(bool(s.strip()) for s in source[body[0].lineno - 1 : body[-1].end_lineno])


@pytest.mark.parametrize("module", MODULES, ids=FAMILIES)
def test_a_demonstration_has_under_ten_lines(module):
    functions = [f for f in vars(module).values() if inspect.isfunction(f)]
    own = [f for f in functions if f.__module__ == module.__name__ and f.__name__ != "<lambda>"]
    assert own
    assert {f.__name__: _lines(f) for f in own if _lines(f) > 9} == {}


def test_the_ledger_loads_no_torch():
    code = "import sys; from bnlab.course.experiments.ledger import ledger; ledger(); " \
           "sys.exit('torch' in sys.modules)"  # fmt: skip
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# The numbers themselves, against independent ones.


def test_momentum_changes_no_weight_and_only_the_averages():
    slow, _ = pitfalls.trained(3, steps=20, momentum=0.01)
    fast, _ = pitfalls.trained(3, steps=20, momentum=0.99)
    for name, weight in slow.parameters().items():
        np.testing.assert_array_equal(weight, fast.parameters()[name])
    assert np.abs(slow[1].running_mean - fast[1].running_mean).max() > 0.1


def test_the_twin_is_the_same_network():
    model, digits = pitfalls.trained(0, steps=20)
    twin = pitfalls.torch_twin(model)
    assert twin.training
    y = twin.eval()(torch.from_numpy(digits.x_test)).detach().numpy()
    np.testing.assert_allclose(y, model(digits.x_test), rtol=1e-10, atol=1e-10)
    twin.train()
    accuracy = pitfalls.torch_accuracy(twin, digits.x_test, digits.y_test)
    assert accuracy == (y.argmax(axis=1) == digits.y_test).mean()
    assert twin.training
    assert twin[1].training
    twin[1].eval()
    pitfalls.torch_accuracy(twin, digits.x_test, digits.y_test)
    assert not twin[1].training
    assert len(pitfalls.torch_batchnorms(twin)) == 2


@pytest.mark.parametrize("size", [16, 2])
def test_the_accumulated_gradient_is_that_of_torch(size):
    config = pitfalls_small_batches.P8_ACCUMULATION.config
    digits = pitfalls_small_batches.load_digits()
    x, y = digits.x_train[: config.rows], digits.y_train[: config.rows]
    model, _ = pitfalls.trained(0, steps=5)
    twin = pitfalls.torch_twin(model.train())
    for xb, yb in zip(
        torch.from_numpy(x).split(size), torch.from_numpy(y).split(size), strict=True
    ):
        (torch.nn.functional.cross_entropy(twin(xb), yb) * size / len(x)).backward()
    ours = pitfalls_small_batches.accumulated_gradient(model, x, y, size)
    np.testing.assert_allclose(ours, twin[0].weight.grad.numpy(), rtol=1e-7, atol=1e-10)


def test_queries_are_noise_and_keys_show_the_label():
    config, rng = pitfalls_leak.P12_LABEL_LEAK.config, np.random.default_rng(0)
    for one_label in (True, False):
        draws = [pitfalls_leak.queries_and_keys(config, one_label, rng) for _ in range(200)]
        queries = np.array([x[: config.rows] for x, _ in draws])
        keys = np.array([x[config.rows :] for x, _ in draws])
        labels = np.array([y for _, y in draws])
        assert (np.ptp(labels, axis=1) == 0).all() == one_label
        assert abs(queries[labels == 1].mean() - queries[labels == 0].mean()) < 0.05
        assert keys[labels == 1].mean() == pytest.approx(1, abs=0.05)
        assert keys[labels == 0].mean() == pytest.approx(-1, abs=0.05)


def test_the_small_last_batch_has_two_images():
    config, digits = pitfalls_small_batches.P7_LAST_BATCH.config, bnlab.data.load_digits()
    assert len(digits.x_train) % config.batch_size == 2


def test_the_law_of_total_variance_explains_the_shared_domain():
    arrays, config = _measured("P11"), ALL["P11"].config
    assert arrays["running_var"] == pytest.approx(config.std**2, rel=0.05)
    between = (config.distance / 2) ** 2
    assert arrays["pooled_var"] == pytest.approx(config.std**2 + between, rel=0.01)


def test_the_factors_are_those_of_the_formulas():
    eps, var = ALL["P15"].config.eps, np.array(ALL["P15"].config.running_var)
    np.testing.assert_allclose(_measured("P15")["without"], np.sqrt((var + eps) / var), rtol=1e-9)
    assert _measured("P16")["usual"][1] == pytest.approx(1 / np.sqrt(1e-5), rel=1e-6)
    assert _measured("P17")["ported"] == pytest.approx(np.sqrt(4 / 3), rel=1e-12)
    assert _measured("P9")["ratio"] == pytest.approx(np.full(3, 1.9), rel=1e-9)


@pytest.mark.parametrize(("id", "smaller"), [("P7", {"epochs": 1}), ("P11", {"batches": 3})])
def test_a_run_too_small_for_its_sides_cannot_tell(id, smaller):
    evidence = ALL[id].evidence(**smaller)
    assert evidence.verdict == "CANNOT TELL"
    assert evidence.reduced
