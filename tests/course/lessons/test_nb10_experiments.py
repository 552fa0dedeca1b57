"""Claims N1 to N4: the identities run for real, and the verdicts follow the arrays."""

import dataclasses
import functools
import warnings

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt

from bnlab.course.experiments.ledger import ledger
from bnlab.course.experiments.results import stored
from bnlab.course.lessons.nb10.batch_size_sweep import (
    N1_BATCH_SIZE,
    NORMS,
    BatchSizes,
    errors_by_size,
    normalized_net,
)
from bnlab.course.lessons.nb10.replicas import (
    N3_ONE_BIG_BATCH,
    N4_GHOSTS,
    Replicas,
    big_batch,
    comparison,
    jobs_of,
    one_process,
    whole,
)
from bnlab.course.lessons.nb10.shards import N2_MERGE, Shards, pooled_statistics, shard_statistics

IDENTITIES = [N2_MERGE, N3_ONE_BIG_BATCH, N4_GHOSTS]


@functools.cache
def _arrays(experiment):
    return experiment.run(experiment.config)


def verdict(experiment, **planted):
    arrays = _arrays(experiment)
    assert set(planted) <= set(arrays), f"planted nothing: {set(planted) - set(arrays)}"
    return experiment.read(arrays | planted).verdict


@pytest.mark.parametrize("experiment", [N1_BATCH_SIZE, *IDENTITIES], ids=lambda e: e.claim.id)
def test_the_ledger_knows_it(experiment):
    assert ledger()[experiment.claim.id] is experiment
    assert experiment.claim.notebook == "10"


@pytest.mark.parametrize("experiment", IDENTITIES, ids=lambda e: e.claim.id)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_identities_hold(experiment, seed):
    evidence = experiment.evidence(seed=seed)
    assert evidence.verdict == "RIGHT"
    assert evidence.setting.startswith("float64, ")


@pytest.mark.parametrize("experiment", IDENTITIES, ids=lambda e: e.claim.id)
def test_the_arrays_are_plain(experiment):
    for value in _arrays(experiment).values():
        assert np.asarray(value).dtype.kind == "f"


# N1: the sweep, on planted errors, small, and stored.


def planted(batch=(0.3, 0.03), layer=(0.03, 0.03), group=(0.03, 0.03), seeds=4):
    """Errors at the smallest and at another batch size, the same for each seed but for a little."""
    errors = {"none": (0.04, 0.03), "batch": batch, "layer": layer, "group": group}
    return {
        f"{norm}_{size}": error + 0.001 * np.arange(seeds)
        for norm, pair in errors.items()
        for size, error in zip((2, 32), pair, strict=True)
    }


@pytest.mark.parametrize(
    ("errors", "holds", "verdict"),
    [
        (planted(), [True, True, True], "RIGHT"),
        (planted(batch=(0.14, 0.03)), [True, True, True], "RIGHT"),
        (planted(batch=(0.12, 0.03)), [False, True, True], "IMPRECISE"),
        (planted(layer=(0.09, 0.03)), [True, False, True], "IMPRECISE"),
        (planted(group=(0.3, 0.03)), [True, True, False], "IMPRECISE"),
        (planted(layer=(0.08, 0.03)), [True, True, True], "RIGHT"),
        (planted(layer=(0.03, 0.3)), [True, True, True], "RIGHT"),
        (planted((0.03, 0.3), (0.1, 0.03), (0.1, 0.03)), [False] * 3, "NOT REPRODUCED"),
        (planted(seeds=1), [None] * 3, "CANNOT TELL"),
    ],
)
def test_the_verdict_of_n1_follows_the_errors(errors, holds, verdict):
    evidence = N1_BATCH_SIZE.read(errors)
    assert [part.holds for part in evidence.parts] == holds
    assert evidence.verdict == verdict
    criteria = [part.criterion for part in N1_BATCH_SIZE.read(planted()).parts]
    assert [part.criterion for part in evidence.parts] == criteria


def test_a_seed_that_disagrees_leaves_n1_open():
    errors = planted()
    errors["batch_2"][1] = errors["batch_32"][1]
    assert N1_BATCH_SIZE.read(errors).verdict == "CANNOT TELL"


def test_a_very_small_sweep_runs_and_has_every_norm_and_size():
    config = dataclasses.replace(BatchSizes(), sizes=(64, 128), epochs=1, lrs=(0.1,), seeds=(0, 1))
    with warnings.catch_warnings(action="error"):
        arrays = N1_BATCH_SIZE.run(config)
    assert set(arrays) == {f"{norm}_{size}" for norm in NORMS for size in (64, 128)}
    for values in arrays.values():
        assert values.shape == (2,)
        assert ((values > 0) & (values < 0.95)).all()


def test_all_nets_start_from_the_same_weights():
    weights = [normalized_net(norm, seed=3)[0].weight for norm in NORMS]
    for weight in weights[1:]:
        np.testing.assert_array_equal(weight, weights[0])


def test_the_stored_sweep_belongs_to_the_config_and_says_what_we_teach():
    arrays, about = stored("N1")
    config = dataclasses.asdict(N1_BATCH_SIZE.config)
    assert about["config"] == {k: list(v) if isinstance(v, tuple) else v for k, v in config.items()}
    assert N1_BATCH_SIZE.read(arrays).verdict == "RIGHT"
    sizes, batch = errors_by_size(arrays, "batch")
    assert sizes.tolist() == list(N1_BATCH_SIZE.config.sizes)
    assert (batch[:, 0] > 0.1).all()
    layer = errors_by_size(arrays, "layer")[1].mean(axis=0)
    assert layer[0] < 0.06
    assert batch.mean(axis=0)[sizes == 32] < layer[sizes == 32]


# N2: merging.


def test_n2_measures_what_the_shortcuts_cost():
    arrays = _arrays(N2_MERGE)
    assert arrays["unweighted"] > 0.1
    assert arrays["forgotten"] > 0.1


@pytest.mark.parametrize(
    "off", [{"equal": 1e-6}, {"weighted": 1e-6}, {"two_at_a_time": 1e-6}, {"unweighted": 1e-3}]
)
def test_the_verdict_of_n2_follows_the_errors(off):
    assert verdict(N2_MERGE, **off) == "IMPRECISE"


def test_n2_can_be_wrong():
    assert verdict(N2_MERGE, equal=1e-6, weighted=1e-6, unweighted=1e-3) == "WRONG"


@pytest.mark.parametrize("counts", [(1,), (1, 1), (5, 2, 30), (1, 100)])
def test_pooled_statistics_are_those_of_all_rows(counts):
    rng = np.random.default_rng(sum(counts))
    shards = [rng.normal(rng.normal(0, 5), 1.0, (n, 3)) for n in counts]
    mean, var = pooled_statistics(*shard_statistics(shards))
    rows = torch.from_numpy(np.concatenate(shards))
    np.testing.assert_allclose(mean, rows.mean(dim=0), rtol=1e-12)
    np.testing.assert_allclose(var, rows.var(dim=0, correction=0), rtol=1e-10, atol=1e-14)


def test_the_shards_of_n2_have_equal_numbers_of_rows_in_all():
    assert sum(Shards().equal) == sum(Shards().unequal)


# N3 and N4: replicas.


def test_replicas_of_unequal_size_equal_the_big_batch_too():
    jobs = jobs_of(Replicas(shards=(3, 20, 9), features=5))
    big, steps = big_batch(jobs), [answer["shared"] for answer in one_process(jobs)]
    for name in ("y", "dx"):
        np.testing.assert_allclose(whole(steps, name), big[name], rtol=1e-10, atol=1e-12)
    for step in steps:
        np.testing.assert_allclose(step["dgamma"], big["dgamma"], rtol=1e-10)


def test_the_big_batch_is_that_of_torch():
    jobs = jobs_of(Replicas())
    x, gamma, beta = (torch.tensor(a, requires_grad=True)
                      for a in (whole(jobs, "x"), jobs[0]["gamma"], jobs[0]["beta"]))  # fmt: skip
    y = torch.nn.functional.batch_norm(x, None, None, gamma, beta, training=True, eps=1e-5)
    y.backward(torch.from_numpy(whole(jobs, "dy")))
    np.testing.assert_allclose(big_batch(jobs)["dx"], x.grad, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", ["mean", "var", "y", "dx", "dgamma", "dbeta"])
def test_a_mistake_in_any_answer_is_seen_by_n3(name):
    jobs = jobs_of(Replicas())
    answers = one_process(jobs)
    answers[1]["shared"][name] = 1.001 * answers[1]["shared"][name]
    evidence = N3_ONE_BIG_BATCH.read(comparison(jobs, answers))
    gradient = name.startswith("d")
    assert [part.holds for part in evidence.parts] == [gradient, not gradient, True]
    assert evidence.verdict == "IMPRECISE"


@pytest.mark.parametrize("name", ["y", "dx", "dgamma", "dbeta"])
def test_a_mistake_in_any_answer_is_seen_by_n4(name):
    jobs = jobs_of(Replicas())
    answers = one_process(jobs)
    answers[0]["own"][name] = 1.001 * answers[0]["own"][name]
    evidence = N4_GHOSTS.read(comparison(jobs, answers))
    assert [part.holds for part in evidence.parts] == [False, True]
    assert evidence.verdict == "IMPRECISE"


def test_the_other_verdicts_of_n3_and_n4():
    assert verdict(N3_ONE_BIG_BATCH, own_y=0.0) == "IMPRECISE"
    assert verdict(N3_ONE_BIG_BATCH, own_dx=0.0) == "IMPRECISE"
    assert verdict(N3_ONE_BIG_BATCH, shared_y=1.0, shared_dx=1.0, own_y=0.0) == "WRONG"
    assert verdict(N4_GHOSTS, apart=0.0) == "IMPRECISE"
    assert verdict(N4_GHOSTS, apart=0.0, ghost_dx=1.0) == "WRONG"


@pytest.mark.parametrize("experiment", IDENTITIES, ids=lambda e: e.claim.id)
def test_the_figure_of_an_identity_has_errors_on_both_sides_of_the_tolerance(experiment):
    arrays = _arrays(experiment)
    ax = experiment.draw(arrays)
    within, beyond = (line.get_xdata() for line in ax.lines[:2])
    assert len(within) >= 2
    assert len(beyond) >= 2
    assert set(beyond) <= set(arrays.values())
    assert ax.get_xlabel()
    plt.close(ax.figure)


def test_the_figure_of_n1_has_a_line_for_each_norm():
    arrays = planted()
    ax = N1_BATCH_SIZE.draw(arrays)
    assert [line.get_label() for line in ax.lines][:2] == ["no norm", "batch norm"]
    medians = [100 * np.median(arrays[f"batch_{size}"]) for size in (2, 32)]
    np.testing.assert_allclose(ax.lines[1].get_ydata(), medians)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("images in a batch", "test error, %")
    plt.close(ax.figure)
