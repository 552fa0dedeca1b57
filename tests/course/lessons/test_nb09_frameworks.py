"""P21 to P28: every symptom shows, every fix removes it, every verdict can flip."""

import dataclasses
import functools
import importlib
import json
import re

import nbformat
import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt

from bnlab.course.experiments.evidence import Experiment
from bnlab.course.experiments.ledger import ledger
from bnlab.course.experiments.results import stored
from bnlab.course.lessons.nb09 import pitfalls_copies, pitfalls_frameworks, pitfalls_replicas
from bnlab.course.lessons.nb09.two_processes import in_two_processes
from bnlab.data import course_files, load_digits

FAMILIES = ("replicas", "copies", "frameworks", "storage")
ALL = {
    entry.claim.id: entry
    for name in FAMILIES
    for entry in vars(
        importlib.import_module(f"bnlab.course.lessons.nb09.pitfalls_{name}")
    ).values()
    if isinstance(entry, Experiment)
}
SMALLER = {"P22": {"seeds": (0, 1, 2)}}  # of what takes long to run


@functools.cache
def _measured(id):
    """A run, but for P21: its two processes take seconds to start, and have a test of their own."""
    if id == "P21":
        return stored(id)[0]
    return ALL[id].run(dataclasses.replace(ALL[id].config, **SMALLER.get(id, {})))


def test_there_are_eight_and_the_ledger_has_them():
    assert sorted(ALL) == [f"P{k}" for k in range(21, 29)]
    assert all(ledger()[id] is entry for id, entry in ALL.items())


@pytest.mark.parametrize("id", ALL)
def test_the_symptom_shows_and_the_fix_removes_it(id):
    assert ALL[id].read(_measured(id)).verdict == "RIGHT", ALL[id].read(_measured(id))


@pytest.mark.parametrize("id", ALL)
def test_a_run_is_kept_and_says_the_same(id):
    arrays, made = stored(id)
    assert made["config"] == json.loads(json.dumps(dataclasses.asdict(ALL[id].config)))
    assert set(arrays) == set(_measured(id))
    assert ALL[id].read(arrays).verdict == "RIGHT"


LOW, HIGH = np.full(3, 0.4), np.full(3, 0.95)
SLOW_WAY = np.linspace(1, 2.99, 60)
# What would be measured without the symptom, and with a fix that does not help; each part once.
PLANTED = {
    "P21": ([{"apart": np.array([[5.0, 26], [5, 26]])}],
            [{"mixed": np.array([[0.0, 26], [1, 1]])}, {"mixed": np.array([[5.0, 1], [1, 1]])}]),
    "P22": ([{"parameters": HIGH, "model": HIGH}], [{"update_bn": LOW}]),
    "P23": ([{"requires_grad": 0.0}], [{"trainable": 3.0}, {"trainable_output": np.zeros(100)}]),
    "P24": ([{"dropped": 0.0}, {"refused": False}], [{"kept": 3.0}, {"stacked": 0.1}]),
    "P25": ([{"train": 0.0}, {"train_off": 0.0}], [{"eval": 0.5}, {"eval_off": 0.5}]),
    "P26": ([{"long_all": np.zeros(28), "short_all": np.zeros(28)}],
            [{"long_real": np.zeros(28)},
             {"long_real": np.full(28, 2.0), "short_real": np.full(28, 2.0)}]),
    "P27": ([{"in_place_refused": False}, {"nothing_refused": True}],
            [{"replaced_refused": True}, {"replaced_gradient": np.zeros(4)}]),
    "P28": ([{"float16": SLOW_WAY}, {"bfloat16": SLOW_WAY}, {"bfloat16": np.full(60, 2.9)}],
            [{"float32": np.full(60, 2.0)}]),
}  # fmt: skip


@pytest.mark.parametrize("id", ALL)
@pytest.mark.parametrize("kind", [0, 1], ids=["no symptom", "no fix"])
def test_the_verdict_follows_from_the_numbers(id, kind):
    whole = ALL[id].read(_measured(id))
    for planted in PLANTED[id][kind]:
        assert set(planted) <= set(_measured(id))
        changed = ALL[id].read(_measured(id) | planted)
        assert changed.verdict == "IMPRECISE", planted
        assert [p.criterion for p in changed.parts] == [p.criterion for p in whole.parts]


NEITHER = {
    # Their parts share arrays: what would be measured with no symptom and no fix at once.
    "P22": {"model": HIGH, "parameters": HIGH, "update_bn": LOW},
    "P26": {"long_all": np.zeros(28), "short_all": np.zeros(28), "long_real": np.ones(28)},
    "P27": {"in_place_refused": False, "replaced_refused": True},
}


@pytest.mark.parametrize("id", ALL)
def test_with_neither_it_is_wrong(id):
    parts = {k: v for plants in PLANTED[id] for one in plants for k, v in one.items()}
    planted = ALL[id].read(_measured(id) | NEITHER.get(id, parts))
    assert planted.verdict == "WRONG", planted


def test_two_seeds_cannot_tell_of_an_averaged_copy():
    two = {name: values[:2] for name, values in _measured("P22").items()}
    evidence = ALL["P22"].read(two)
    assert (evidence.verdict, evidence.open) == ("CANNOT TELL", [1, 2])


@pytest.mark.parametrize("id", ALL)
def test_its_figure_has_named_axes(id):
    ax = ALL[id].draw(_measured(id))
    assert ax.get_ylabel() or ax.get_xlabel()
    assert not re.search(r"_|seed", ax.get_ylabel() + ax.get_xlabel())
    plt.close("all")


def test_the_figure_of_half_precision_shows_the_three_ways():
    arrays = _measured("P28")
    ax = ALL["P28"].draw(arrays)
    drawn = {line.get_label(): line.get_ydata() for line in ax.lines}
    for name in ("float32", "float16", "bfloat16"):
        np.testing.assert_array_equal(drawn[name], arrays[name])
    plt.close("all")


# The numbers themselves, against independent ones.


@pytest.mark.slow
def test_two_processes_find_what_is_kept():
    found, kept = pitfalls_replicas.statistics_of_rank_0(ALL["P21"].config), stored("P21")[0]
    for name, values in found.items():
        np.testing.assert_allclose(values, kept[name], rtol=1e-5)


def test_rank_0_has_the_statistics_of_its_own_data():
    config = ALL["P21"].config
    own, mixed = pitfalls_replicas.rows_of_replicas(config)
    layer = torch.nn.BatchNorm1d(1).double()
    for batch in torch.from_numpy(own[0]):
        layer(batch)
    expected = layer.running_mean.item(), layer.running_var.item()
    np.testing.assert_allclose(stored("P21")[0]["apart"][0], expected, rtol=1e-5)
    np.testing.assert_array_equal(np.sort(own.ravel()), np.sort(mixed.ravel()))


def _fails(rank, job):
    raise ValueError(f"no {job} on rank {rank}")


@pytest.mark.slow
def test_what_a_process_raises_is_raised():
    with pytest.raises(ValueError, match="no answer on rank"):
        in_two_processes(_fails, "answer", timeout=20)


def test_the_average_is_that_of_torchs_own_helper():
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    config = dataclasses.replace(ALL["P22"].config, steps=3)
    digits, rng = load_digits(0), np.random.default_rng(0)
    _, ema = pitfalls_copies.followed(config, digits, 0)
    again = pitfalls_copies.torch_twin(pitfalls_copies.mlp([64, 50, 50, 10], rng=rng))
    theirs = AveragedModel(again, multi_avg_fn=get_ema_multi_avg_fn(config.decay))
    theirs.n_averaged += 1  # else the first step copies
    descend = torch.optim.SGD(again.parameters(), lr=config.lr)
    for x, y in pitfalls_copies._batches(config, digits, rng):
        descend.zero_grad()
        torch.nn.functional.cross_entropy(again(x), y).backward()
        descend.step()
        theirs.update_parameters(again)
    for ours, its in zip(ema.parameters(), theirs.module.parameters(), strict=True):
        torch.testing.assert_close(ours, its)
    assert not ema[1].num_batches_tracked


def test_apply_gives_torchs_output_and_keras_statistics():
    x = np.random.default_rng(0).normal(3, 2, size=(16, 1))
    y, new = pitfalls_frameworks.apply({"mean": np.zeros(1), "var": np.ones(1)}, x, 0.1)
    theirs = torch.nn.BatchNorm1d(1).double()
    np.testing.assert_allclose(y, theirs(torch.from_numpy(x)).detach(), rtol=1e-10)
    np.testing.assert_allclose(new["mean"], theirs.running_mean, rtol=1e-12)
    np.testing.assert_allclose(new["var"], 0.9 + 0.1 * x.var(axis=0), rtol=1e-12)


# The symptom finder.


def test_every_link_of_the_finder_leads_to_an_entry():
    """As the site makes them of headings, and as an anchor, for JupyterLab has another rule."""
    path = course_files() / "notebooks" / "09_field_guide.ipynb"
    text = "\n\n".join(
        cell.source
        for cell in nbformat.read(path, as_version=4).cells
        if cell.cell_type == "markdown"
    )
    links = dict(re.findall(r"\[(P\d+)\]\(#([\w-]+)\)", text))
    assert sorted(links, key=lambda id: int(id[1:])) == [f"P{k}" for k in range(1, 29)]
    headings = re.findall(r"^### (P\d+ .*)$", text, re.M)
    slugs = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert slugs == set(links.values()) == set(re.findall(r'<a id="([\w-]+)"></a>', text))
    assert all(slug.startswith(f"{id.lower()}-") for id, slug in links.items())


@pytest.mark.parametrize(
    "typed",
    ["Expected more than 1 value per channel when training", "inplace operation", "EMA", "SWA",
     "update_bn", "federated", "teacher", "export", "quantiz", "bfloat16", "mask", "batch_stats",
     "trainable", "SyncBatchNorm", "gradient accumulation", "vmap", "ONNX",
     "ModifyScopeVariableError", 'collection "batch_stats" is immutable'],
)  # fmt: skip
def test_the_finder_has_the_words_that_people_type(typed):
    path = course_files() / "notebooks" / "09_field_guide.ipynb"
    cells = nbformat.read(path, as_version=4).cells
    (finder,) = (c.source for c in cells if c.source.startswith("## Find your symptom"))
    assert typed.lower() in finder.lower()
