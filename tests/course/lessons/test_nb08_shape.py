"""What shapes training: claims W1 to W5, W7, W14, A16. The pieces for real, verdicts as planted."""

import dataclasses
import json

import matplotlib.pyplot as plt
import numpy as np
import pytest

from bnlab.course.experiments.ledger import ledger
from bnlab.course.experiments.results import stored, stored_evidence
from bnlab.course.lessons.nb08.drawing import WITH, WITHOUT
from bnlab.course.lessons.nb08.figure_one import leads_at_the_end, rates_as_good
from bnlab.course.lessons.nb08.gradient_growth import PREDICTED_GROWTH
from bnlab.data import load_digits

YES, NO, OPEN = True, False, None
SEEDS = np.array([-1e-3, 0.0, 1e-3, 2e-3])  # what a seed adds to an accuracy
WIDE = np.array([-0.1, 0.2, 0.0, -0.1])  # an interval that decides nothing


@pytest.fixture(scope="module")
def digits():
    return load_digits(0, np.float32)


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def a_seed_each(values, spread=SEEDS):
    """The same values for each of four seeds, but for what the seed adds, (4, ...)."""
    values = np.asarray(values, float)
    return values + np.reshape(spread, (-1, *[1] * values.ndim))


def twice(accuracy):
    """Accuracy on validation images as on test images, on a last axis."""
    return np.stack([accuracy, accuracy], axis=-1)


def fixed(**values):
    """What is the same for each of four seeds."""
    return {name: np.array([value] * 4) for name, value in values.items()}


# Planted arrays, claim by claim.


def reaching(works):
    """Accuracies of which those marked x reach 95%."""
    return a_seed_each([0.97 if mark == "x" else 0.5 for mark in works])


def w1(relu, sigmoid=(".x..", "xxxx")):
    sides = {"relu": relu, "sigmoid": sigmoid}
    return fixed(lrs=(0.01, 0.1, 1.0, 10.0), target=0.95) | {
        f"{name}_{side}": np.stack([reaching(works), np.zeros((4, 4))], axis=-1)  # nothing on test
        for name, pair in sides.items()
        for side, works in zip(("plain", "bn"), pair, strict=True)
    }


def w2(*depths):
    """Each depth has the sizes that work without and with batch norm, at its only rate."""
    sides = [
        np.stack([reaching(works) for works in side], axis=1) for side in zip(*depths, strict=True)
    ]
    arrays = {s: twice(side[..., None]) for s, side in zip(("plain", "bn"), sides, strict=True)}
    numbers = {"scales": (0.001, 0.01, 0.1, 1.0), "lrs": (0.1,), "target": 0.95}
    return fixed(depths=(3, 8)[: len(depths)], **numbers) | arrays


def w3(spread=SEEDS, **values):
    """Accuracies after two budgets, of residual blocks one, at a single rate."""
    usual = {
        "sigmoid_plain": (0.1, 0.1), "sigmoid_bn": (0.9, 0.9), "relu_plain": (0.3, 0.5),
        "relu_bn": (0.8, 0.9), "residual_plain": 0.1, "residual_bn": 0.9, "residual_skipinit": 0.8,
    }  # fmt: skip
    unlike = {"relu_bn": spread, "residual_bn": spread}
    return fixed(budgets=(500, 1000)) | {
        name: twice(a_seed_each(value, unlike.get(name, SEEDS))[..., None])
        for name, value in (usual | values).items()
    }


def w4(relu, linear):
    """Mean cosines without and with batch norm."""
    arrays = fixed(steps=(0, 20))
    for name, pair in {"relu": relu, "linear": linear}.items():
        for side, cosine in zip(("plain", "bn"), pair, strict=True):
            arrays[f"{name}_{side}"] = a_seed_each((cosine, cosine))
            arrays[f"{name}_{side}_loss"] = np.full(4, 0.25)
    return arrays


def w5(relu, sigmoid=(1.0, 5.0), spread=SEEDS):
    """Range of the loss and beta with batch norm, where it is 2 and 10 without; not at step 0."""

    def band(pair, spread=SEEDS, first=99):
        width, beta = (a_seed_each([value] * 3, 10 * spread) for value in pair)
        width[:, 0] = beta[:, 0] = first
        return np.stack([np.ones_like(width), 1 + width, beta], axis=-1)

    return fixed(steps=(0, 10, 20)) | {
        "relu_plain": band((2, 10), first=5), "relu_bn": band(relu, spread),
        "sigmoid_plain": band((2, 10)), "sigmoid_bn": band(sigmoid, first=5),
    }  # fmt: skip


def curves(*values, spread=SEEDS):
    """One rate a tuple of accuracies over the steps, (4, R, T, 2)."""
    return twice(a_seed_each(values, spread))


def w7(plain, bn):
    return fixed(steps=tuple(50 * np.arange(plain.shape[2])), target=0.95) | {
        "plain": plain, "bn": bn,
    }  # fmt: skip


def w14(relu, tanh=(1.0, 1.0)):
    """Growth of outputs and of gradients over the ten layers."""

    def sizes(pair):
        layers = [np.geomspace(1, factor, 10) for factor in pair]
        return np.array([layers] * 4)  # (S, 2, L)

    sides = {"relu_bn": relu, "relu_plain": (1, 1), "tanh_bn": tanh, "tanh_plain": (1, 1)}
    return fixed(skip=2) | {name: sizes(pair) for name, pair in sides.items()}


def a16(bn, spread=SEEDS / 10):
    return {name: np.stack([a_seed_each(cosine, s), np.full(4, 0.1)], axis=-1)
            for name, cosine, s in (("plain", 0.96, spread), ("bn", bn, SEEDS / 100))}  # fmt: skip


TARDY, EARLY = curves((0.1, 0.5, 0.96)), (0.1, 0.96)
CASES = [
    ("W1", w1((".x..", "xxxx")), [YES] * 4),
    ("W1", w1(("xxxx", ".x..")), [NO, NO, YES, YES]),
    ("W1", w1(("..x.", "xxx.")), [YES, NO, YES, YES]),
    ("W1", w1((".xx.", "..xx")), [NO, YES, YES, YES]),
    ("W1", w1(("xxxx", ".x.."), ("xxxx", "....")), [NO] * 4),
    ("W1", w1(("....", "....")), [OPEN, OPEN, YES, YES]),  # where nothing trains nothing is told
    ("W1", w1(("....", "...."), ("....", "....")), [OPEN] * 4),
    ("W1", w1((".x..", "....")), [NO, NO, YES, YES]),
    ("W2", w2(("...x", "xxxx"), ("...x", ".xxx")), [YES, YES]),
    ("W2", w2(("...x", "xxxx"), ("...x", "...x")), [YES, NO]),
    ("W2", w2(("..xx", "...x"), ("..xx", ".xx.")), [NO, NO]),
    ("W2", w2(("....", "...."), ("...x", ".xxx")), [OPEN, YES]),
    ("W2", w2(("....", "...."), ("....", "....")), [OPEN, OPEN]),
    ("W3", w3(), [YES] * 5),
    ("W3", w3(sigmoid_bn=(0.9, 0.11)), [YES, NO, YES, YES, YES]),
    ("W3", w3(relu_plain=(0.79, 0.93)), [NO, YES, NO, YES, YES]),
    ("W3", w3(residual_skipinit=0.9), [YES, YES, YES, YES, NO]),
    ("W3", w3(WIDE, residual_skipinit=0.9, relu_plain=(0.8, 0.85)), [OPEN, YES, YES, YES, OPEN]),
    (
        "W3",
        w3(sigmoid_bn=(0.1, 0.1), relu_bn=(0.3, 0.9), relu_plain=(0.3, 0.92), residual_bn=0.1),
        [NO] * 5,
    ),
    ("W4", w4((0.6, 0.995), (0.6, 0.995)), [YES, YES, YES]),
    ("W4", w4((0.6, 0.9), (0.6, 0.3)), [YES, NO, NO]),
    ("W4", w4((0.6, 0.995), (0.6, 0.9)), [YES, YES, NO]),
    ("W4", w4((0.6, 0.5), (0.6, 0.5)), [NO, NO, NO]),
    ("W5", w5((1.0, 5.0)), [YES] * 4),
    ("W5", w5((1.0, 15.0)), [YES, NO, YES, YES]),
    ("W5", w5((3.0, 5.0), sigmoid=(3.0, 15.0)), [NO, YES, NO, NO]),
    ("W5", w5((3.0, 15.0), sigmoid=(3.0, 15.0)), [NO] * 4),
    ("W5", w5((2.0, 5.0), spread=WIDE), [OPEN, YES, YES, YES]),
    ("W7", w7(TARDY, curves((*EARLY, 0.99))), [YES, YES]),
    ("W7", w7(TARDY, curves((*EARLY, 0.95))), [YES, NO]),
    ("W7", w7(TARDY, curves((0.1, 0.1, 0.99))), [NO, YES]),
    ("W7", w7(TARDY, curves((0.1, 0.1, 0.951))), [NO, NO]),
    ("W7", w7(TARDY, curves((*EARLY, 0.96), spread=SEEDS[::-1])), [YES, OPEN]),
    ("W7", w7(curves((0.1, 0.1, 0.2)), curves((0.1, 0.2, 0.3))), [OPEN, YES]),  # 95% never there
    ("W14", w14((1, 1)), [YES] * 4),
    ("W14", w14((1, 50)), [YES, NO, YES, YES]),
    ("W14", w14((0.02, 0.02), tanh=(50, 50)), [NO] * 4),
    ("A16", a16(0.9999), [YES, YES]),
    ("A16", a16(0.98), [NO, YES]),
    ("A16", a16(0.90), [NO, NO]),
    ("A16", a16(0.96, SEEDS), [NO, OPEN]),
]  # fmt: skip
VERDICTS = {(YES,): "RIGHT", (NO,): "WRONG", (OPEN,): "CANNOT TELL", (NO, YES): "IMPRECISE",
            (OPEN, YES): "CANNOT TELL", (OPEN, NO): "CANNOT TELL",
            (OPEN, NO, YES): "IMPRECISE"}  # fmt: skip
MEASURED_BY_OTHERS = {"W1", "W5", "W7"}


def expected(name, answers):
    if name == "W4" and len(set(answers)) > 1:
        return "CONTESTED"
    verdict = next(v for holds, v in VERDICTS.items() if set(holds) == set(answers))
    refuted = name in MEASURED_BY_OTHERS or name == "W4"
    return "NOT REPRODUCED" if verdict == "WRONG" and refuted else verdict


def two_seeds(arrays):
    return {name: array[:2] for name, array in arrays.items()}


@pytest.mark.parametrize(
    ("name", "arrays", "answers"), CASES, ids=[f"{name}-{a}" for name, _, a in CASES]
)
def test_a_verdict_follows_the_arrays(name, arrays, answers):
    evidence = ledger()[name].read(arrays)
    assert [part.holds for part in evidence.parts] == answers
    assert evidence.verdict == expected(name, answers)


@pytest.mark.parametrize("name", {name: 0 for name, *_ in CASES})
def test_each_verdict_is_planted_and_no_criterion_depends_on_the_arrays(name):
    planted = [(arrays, answers) for claim, arrays, answers in CASES if claim == name]
    seen = {expected(name, answers) for _, answers in planted}
    assert {"RIGHT", expected(name, [NO]), expected(name, [YES, NO])} <= seen
    read = ledger()[name].read
    criteria = {tuple(part.criterion for part in read(a).parts) for a, _ in planted}
    assert len({texts for texts in criteria if len(texts) == len(planted[0][1])}) == 1


@pytest.mark.parametrize("name", ["W1", "W2", "W4", "W14"])
def test_two_seeds_cannot_tell(name):
    arrays = next(arrays for claim, arrays, _ in CASES if claim == name)
    evidence = ledger()[name].read(two_seeds(arrays))
    assert evidence.verdict == "CANNOT TELL"
    assert evidence.open == [*range(1, 1 + len(evidence.parts))]


@pytest.mark.parametrize(("name", "arrays"), [("W1", w1(("....", "xxxx"))),
                                              ("W2", w2(("....", "xxxx")))])  # fmt: skip
def test_one_seed_in_which_nothing_trains_leaves_it_open(name, arrays):
    assert ledger()[name].read(arrays).parts[0].holds is True
    for side in {"relu_bn", "bn"} & set(arrays):
        arrays[side][1] = 0.1
    assert ledger()[name].read(arrays).parts[0].holds is None


@pytest.mark.parametrize(
    ("name", "arrays", "part"),
    [("W1", w1(("xxxx", ".x..")), 0), ("W2", w2(("xxxx", "...x"), ("...x", "xxxx")), 0),
     ("W4", w4((0.6, 0.5), (0.6, 0.3)), 0), ("W14", w14((50, 1)), 0),
     ("W7", w7(TARDY, curves((0.1, 0.1, 0.99))), 0), ("A16", a16(0.9), 1)],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_one_seed_that_says_otherwise_leaves_it_open(name, arrays, part):
    good = next(arrays for claim, arrays, answers in CASES if claim == name and answers[part])
    mixed = {key: np.concatenate([array[:1], good[key][1:]]) for key, array in arrays.items()}
    assert ledger()[name].read(mixed).parts[part].holds is None


# Running small: the whole way from the config to a verdict. What is stored.

SMALL = {
    "W1": {"activations": ("relu",), "lrs": (0.1, 1.0), "steps": 20, "seeds": (0,)},
    "W2": {"scales": (0.01, 1.0), "lrs": (0.1,), "depths": (1,), "steps": 20, "seeds": (0,)},
    "W3": {"activations": ("relu",), "depth": 2, "plain_lrs": (0.1,), "bn_lrs": (0.1,),
           "budgets": (2, 4), "blocks": 2, "block_lrs": (0.1,), "block_steps": 5, "seeds": (0,)},
    "W4": {"steps": 4, "every": 2, "linear_depth": 4, "seeds": (0,)},
    "W5": {"activations": ("relu",), "steps": 4, "every": 2, "seeds": (0,)},
    "W7": {"plain_lrs": (2.0,), "bn_lrs": (2.0,), "steps": 20, "every": 10, "seeds": (0, 1)},
    "W14": {"activations": ("relu",), "depth": 16, "width": 50, "rows": 64, "seeds": (0,)},
    "A16": {"steps": 10, "seeds": (0,)},
}  # fmt: skip
TAUGHT = {"W1": "RIGHT", "W2": "RIGHT", "W3": "IMPRECISE", "W4": "CONTESTED", "W5": "IMPRECISE",
          "W7": "CANNOT TELL", "W14": "IMPRECISE", "A16": "IMPRECISE"}  # fmt: skip


@pytest.mark.parametrize("name", SMALL)
def test_a_small_run_gives_the_same_evidence_twice_and_has_too_few_seeds(name):
    one, two = (ledger()[name].evidence(**SMALL[name]) for _ in range(2))
    assert one == two
    assert one.verdict == "CANNOT TELL"


@pytest.mark.parametrize("name", TAUGHT)
def test_what_is_stored_is_of_the_present_config_and_what_we_teach(name):
    entry, (_, about) = ledger()[name], stored(name)
    assert about["config"] == json.loads(json.dumps(dataclasses.asdict(entry.config)))
    assert entry.claim.notebook == "08"
    assert stored_evidence(entry).verdict == TAUGHT[name]
    assert "{" not in stored_evidence(entry).setting


# What is compared.


def test_w1_says_none_where_no_rate_works():
    parts = ledger()["W1"].read(w1(("....", ".xx."))).parts
    assert [part.measured for part in parts[:2]] == [
        "none without, 1.0 decades with it", "none without, 1 with it"]  # fmt: skip


def test_w2_judges_test_images_at_the_rate_that_validation_images_choose():
    arrays = w2(("...x", "xxxx"))
    worse = arrays["bn"] - 0.4
    worse[..., 0] = arrays["bn"][..., 0] + 0.01
    assert ledger()["W2"].read(arrays).verdict == "RIGHT"
    two_rates = arrays | {"bn": np.concatenate([arrays["bn"], worse], axis=-2)}
    assert ledger()["W2"].read(two_rates).verdict == "WRONG"


def test_w3_chooses_a_rate_for_each_budget():
    arrays = w3()
    slow, quick = (twice(a_seed_each(v)) for v in ((0.5, 0.95), (0.7, 0.8)))
    arrays["relu_plain"] = np.stack([slow, quick], axis=2)  # (S, B, R, 2)
    part = ledger()["W3"].read(arrays).parts[0]
    assert part.measured.startswith("+10.0 +- ")
    assert "-5.0" in part.measured


def test_w7_judges_the_end_by_the_last_fifth():
    plain = curves((*[0.1] * 4, *[0.96] * 6))
    bn = curves((0.1, *[0.96] * 7, 0.99, 0.96))  # ahead in the last fifth, not at the last point
    assert ledger()["W7"].read(w7(plain, bn)).verdict == "RIGHT"


@pytest.mark.parametrize("slightly", [-1e-5, 1e-5])
def test_w7_does_not_hang_on_two_rates_that_validation_cannot_tell_apart(slightly):
    two = np.concatenate([TARDY, TARDY], axis=1)
    two[:, 0, -1, 0] += slightly + np.array([1e-3, -1e-3, 1e-3, -1e-3])
    two[:, 1, -1, 1] = 0.99  # one of them is as good as batch norm
    arrays = w7(two, curves((0.96, 0.96, 0.99), spread=SEEDS[::-1]))
    assert rates_as_good(two[:, :, -1, 0]) == [0, 1]
    assert [len(leads_at_the_end(arrays)), ledger()["W7"].read(arrays).parts[1].holds] == [2, None]
    two[:, 1, -1, 0] = 0.5  # no longer a rate that one would choose
    assert ledger()["W7"].read(arrays).verdict == "RIGHT"


# Figures: the right numbers, by their names.


def drawn(name, arrays):
    """The Axes of a claim's figure, each as its lines by their labels."""
    axes = ledger()[name].draw(arrays).figure.axes
    return axes, [{line.get_label(): line.get_ydata() for line in ax.lines} for ax in axes]


def test_w1_draws_validation_accuracy_by_rate():
    arrays = w1((".x..", "xxxx"))
    axes, _ = drawn("W1", arrays)
    assert [ax.get_title().split(",")[0] for ax in axes] == ["ReLU", "sigmoid"]
    means = [line.get_ydata() for line in axes[0].lines if line.get_linestyle() != "None"]
    np.testing.assert_allclose(means[0], 100 * arrays["relu_plain"][..., 0].mean(axis=0))
    np.testing.assert_allclose(means[1], 100 * arrays["relu_bn"][..., 0].mean(axis=0))
    assert (axes[0].get_xlabel(), axes[0].get_xscale()) == ("learning rate", "log")


def test_w2_draws_accuracy_by_size_a_panel_a_depth():
    arrays = w2(("...x", "xxxx"), ("...x", ".xxx"))
    axes, lines = drawn("W2", arrays)
    assert [ax.get_title() for ax in axes] == ["3 hidden layers", "8 hidden layers"]
    median = 100 * np.median(arrays["bn"][:, 1, :, 0, 1], axis=0)
    np.testing.assert_allclose(lines[1][WITH], median)
    np.testing.assert_allclose(lines[0]["95%"], 95)


def test_w3_draws_accuracy_by_budget_and_the_residual_blocks():
    arrays = w3()
    axes, lines = drawn("W3", arrays)
    titles = ["plain layers, ReLU", "plain layers, sigmoid", "residual blocks"]
    assert [ax.get_title() for ax in axes] == titles
    np.testing.assert_allclose(lines[0][WITHOUT], [30.05, 50.05])
    kinds = [label.get_text() for label in axes[2].get_xticklabels()]
    assert kinds == ["nothing", "batch norm", "SkipInit"]
    means = [c.get_segments()[0][0, 1] for c in axes[2].collections]
    np.testing.assert_allclose(means, [10.05, 90.05, 80.05])
    assert axes[0].get_ylabel() == "test accuracy, %"


def test_w4_and_a16_draw_the_cosine():
    axes, lines = drawn("W4", w4((0.6, 0.9), (0.6, 0.3)))
    np.testing.assert_allclose(lines[1][WITH], 0.3005)
    assert [ax.get_title() for ax in axes] == ["ReLU network", "linear network"]
    (ax,), _ = drawn("A16", a16(0.98))
    means = [c.get_segments()[0][0, 1] for c in ax.collections]
    np.testing.assert_allclose(means, [0.96005, 0.980005])
    assert "cosine" in ax.get_ylabel()


def test_w5_draws_both_measures_of_both_activations_with_step_0():
    axes, lines = drawn("W5", w5((1.0, 5.0)))
    assert [ax.get_title() for ax in axes] == ["ReLU", "ReLU", "sigmoid", "sigmoid"]
    np.testing.assert_allclose(lines[0][WITHOUT], [5, 2.005, 2.005])
    np.testing.assert_allclose(lines[1][WITH], [99, 5.005, 5.005])
    assert [ax.get_yscale() for ax in axes] == ["log", "linear"] * 2
    assert axes[0].get_ylabel() == axes[2].get_ylabel() != axes[1].get_ylabel()


def test_w7_magnifies_the_upper_tenth():
    (ax,), _ = drawn("W7", w7(TARDY, curves((*EARLY, 0.99))))
    (inset,) = ax.child_axes
    assert inset.get_ylim() == (90, 100)
    for line, again in zip(ax.lines, inset.lines, strict=True):
        np.testing.assert_array_equal(line.get_ydata(), again.get_ydata())
        assert line.get_color() == again.get_color()
    np.testing.assert_allclose(inset.lines[2].get_ydata(), [10.05, 96.05, 99.05])


def test_w14_draws_gradients_against_the_top_layer_and_the_prediction():
    _, (forward, backward) = drawn("W14", w14((1, 50)))
    np.testing.assert_allclose(forward["ReLU, with batch norm"], 1)
    np.testing.assert_allclose(backward["ReLU, with batch norm"][[0, -1]], [1 / 50, 1])
    predicted = backward["predicted for ReLU"]
    np.testing.assert_allclose(predicted[:-1] / predicted[1:], PREDICTED_GROWTH)
