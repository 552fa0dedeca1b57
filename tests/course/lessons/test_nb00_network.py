"""What notebook 00 says of its network, checked with the notebook's own code."""

import ast

import nbformat
import numpy as np
import pytest

import bnlab
from bnlab.data import course_files, load_digits

DEFINITIONS = ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef


def lesson(seed=0):
    """Names that the notebook defines; its seeds, 0 for weights and 1 for batches, moved on."""
    notebook = nbformat.read(course_files() / "notebooks" / "00_start_here.ipynb", as_version=4)
    names = {"digits": load_digits()}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            source = cell.source.replace("default_rng(1)", f"default_rng({seed + 1})")
            tree = ast.parse(source.replace("default_rng(0)", f"default_rng({seed})"))
            tree.body = [node for node in tree.body if isinstance(node, DEFINITIONS)]
            exec(compile(tree, "notebook 00", "exec"), names)
    return names


def column_means(x):
    return x.mean(axis=0)


def test_its_layer_is_batch_norm_without_gamma_and_beta():
    rng = np.random.default_rng(0)
    x, dy = rng.normal(3, 2, size=(6, 4)), rng.normal(size=(6, 4))
    layer = lesson()["BatchNorm"](column_means)
    y, cache = bnlab.batchnorm_forward(x, gamma=np.ones(4), beta=np.zeros(4))
    np.testing.assert_allclose(layer(x), y, rtol=1e-12, atol=1e-12)
    dx = bnlab.batchnorm_backward(dy, cache)[0]
    np.testing.assert_allclose(layer.backward(dy), dx, rtol=1e-12, atol=1e-12)


def accuracies(seed):
    """Without and with batch norm, at 0.03 and at 0.14."""
    names = lesson(seed)
    norms = (None, lambda: names["layers"].BatchNorm(100))
    return [names["trained_accuracy"](s, norm) for s in (0.03, 0.14) for norm in norms]


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_four_other_seeds_are_within_three_points(seed):
    np.testing.assert_allclose(accuracies(seed), [0.090, 0.952, 0.964, 0.962], rtol=0, atol=0.03)


@pytest.mark.parametrize(
    ("wrong", "accuracy"),
    [
        (lambda x: x.sum(axis=0), 0.09),  # dead
        (lambda x: x.sum(axis=0) / (len(x) - 1), 0.95),  # mended, and wrong
    ],
)
def test_what_wrong_means_do(wrong, accuracy):
    names = lesson()
    found = names["trained_accuracy"](0.03, lambda: names["BatchNorm"](wrong))
    assert found == pytest.approx(accuracy, abs=0.02)


def test_each_layer_keeps_about_three_tenths_of_the_spread():
    names = lesson()
    x, spreads = names["digits"].x_test, []
    for layer in names["network"](0.03):
        x = layer(x)
        spreads.append(x.std(axis=0).mean())
    shares = np.divide(spreads[3:10:2], spreads[1:8:2])  # the outputs of the five tanh layers
    np.testing.assert_allclose(shares, 0.3, atol=0.02)
