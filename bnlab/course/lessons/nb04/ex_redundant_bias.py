"""Exercise of notebook 04: a linear layer that leaves its bias to batch norm."""

import re

import numpy as np

from bnlab.course.exercises.exercise import Case, Exercise
from bnlab.course.lessons.nb02.ex_batchnorm_algorithm import FORWARD, ROOTS


def linear_batchnorm(x, weight, gamma, beta, eps):
    """A linear layer without a bias, then batch norm; weight is (out, in)."""
    z = x @ weight.T  # (N, out)
    mean = z.mean(axis=0)  # (out,)
    var = ((z - mean) ** 2).mean(axis=0)
    x_hat = (z - mean) / np.sqrt(var + eps)
    return gamma * x_hat + beta


def _layer(n, n_in, n_out, eps=1e-5, mean=0.0, weight_scale=1.0):
    """Draws (x, weight, gamma, beta, eps) with rows of weight that differ in length."""

    def draw(rng):
        x = mean + rng.normal(0, 2, n_in) + rng.normal(size=(n, n_in))
        weight = weight_scale * rng.uniform(0.5, 2, (n_out, 1)) * rng.normal(size=(n_out, n_in))
        return x, weight, rng.uniform(0.5, 2, n_out), rng.normal(size=n_out), eps

    return draw


def _signed_gamma(rng):
    x, weight, _, beta, eps = _layer(6, 3, 4)(rng)
    return x, weight, np.array([-1.5, 0.0, 2.0, -0.3]), beta, eps


def _row_of_zeros(rng):
    x, weight, gamma, beta, eps = _layer(5, 4, 3)(rng)
    weight[1] = 0
    return x, weight, gamma, beta, eps


LINEAR = Exercise(
    name="linear_batchnorm",
    notebook="04",
    reference=linear_batchnorm,
    outputs=("y",),
    cases=(
        Case("a typical layer", _layer(8, 5, 3)),
        Case("as many outputs as inputs, another eps", _layer(7, 4, 4, eps=1e-3), seed=1),
        Case("two examples", _layer(2, 3, 5), seed=2),
        Case("a negative gamma and a gamma of zero", _signed_gamma, seed=3),
        Case("tiny weights: the variance is near eps", _layer(9, 4, 3, weight_scale=1e-3), seed=4),
        Case("a row of weights that is zero", _row_of_zeros, seed=5),
        Case("a large eps", _layer(10, 2, 6, eps=0.5), seed=6),
        Case("inputs with a large mean", _layer(64, 6, 3, mean=1e4), seed=7),
    ),
    hints=(
        "Two steps: a matrix product that gives z of shape (N, out), then Algorithm 1 on z.",
        "weight has one row per output, so z = x @ weight.T. No bias is added anywhere.",
        "The statistics of z run over axis=0; beta is added after the normalization, because what "
        "is added before it is taken away with the mean.",
    ),
    minutes=4,
    difficulty=1,
    about_precision="E[z^2] - E[z]^2 subtracts two large, nearly equal numbers when the mean is "
    "large; subtract the mean first and square afterwards.",
)


LINEAR.add_mistakes(
    beta_has_no_effect=(
        "Your beta does not arrive in y. Either it is not there, or you add it before the "
        "normalization, as if it were the bias of the linear layer: then the mean takes it away.",
        {"z": "x @ weight.T + beta", "return": "gamma * x_hat"},
    ),
    gamma_before_normalization=(
        "You scale the weights (or z) by gamma before the normalization, which divides the scale "
        "away again; only the sign survives. Multiply x_hat by gamma.",
        {"z": "gamma * (x @ weight.T)", "return": "x_hat + beta"},
    ),
    normalizes_the_input=(
        "You normalize x and multiply by the weights afterwards. Here batch norm comes after the "
        "linear map: compute z = x @ weight.T first, then normalize z.",
        {"z": "x", "return": "gamma * (x_hat @ weight.T) + beta"},
    ),
    normalizes_the_weights=(
        "You divide by the length of each row of weights (weight normalization, Salimans & Kingma "
        "2016). Batch norm divides by the standard deviation of z over the batch.",
        {"x_hat": "(z - mean) / np.sqrt((weight**2).sum(axis=1) + eps)"},
    ),
    reshape_instead_of_transpose=(
        "You reshape weight to (in, out), which fits and mixes the rows. Transpose it: weight.T.",
        {"z": "x @ weight.reshape(weight.T.shape)"},
    ),
    mean_of_squares=(
        "Your variance is the mean of z squared: the mean has to be subtracted before squaring.",
        {"var": "(z**2).mean(axis=0)"},
    ),
)


LAST_LINES = (
    *ROOTS,
    *("not_centred", "not_scaled", "parentheses_forgotten", "scales_x", "multiplied_by_std"),
    *("subtracts_beta", "beta_inside_gamma", "gamma_and_beta_swapped", "no_scale_and_shift"),
    *("gamma_forgotten", "beta_forgotten", "mirrored", "gamma_without_its_sign", "relu_at_the_end"),
)


def mistakes_of_algorithm_1(names, but=(), **words):
    """Entries of FORWARD's table with other words for x, mean, var, gamma and beta in the edits."""
    known, x = {m.name: m for m in FORWARD.mistakes}, {"x": words.get("x", "x")}

    def said(text, words=words):
        return re.sub(r"\w+", lambda word: words.get(word[0], word[0]), text)

    return {
        name: (said(known[name].sentence, x), {k: said(e) for k, e in known[name].changes.items()})
        for name in names
        if name not in but
    }


NO_EPS_BUT_AT_ZERO = (
    "The argument eps is missing, or only something too small to count stands in its place; a "
    "variance of 0 does no harm in yours. Add eps to every variance."
)
STATISTICS = ("unbiased_variance", "wrong_axis", "one_statistic_for_all", "sum_of_squares")
# without beta_forgotten, which here is one way to get beta_has_no_effect
LINEAR.add_mistakes(
    **mistakes_of_algorithm_1(STATISTICS + LAST_LINES, but=("beta_forgotten",), x="z")
)
LINEAR.add_mistakes(
    variance_from_the_weights=(
        "You take norm(w)^2 times the variance of x for the variance of z. That holds for inputs "
        "that are independent and vary alike; batch norm measures the variance of z itself.",
        {"var": "(weight**2).sum(axis=1) * x.var()"},
    ),
    first_example_subtracted=(
        "You subtract the z of the first example; subtract the mean over the batch.",
        {"x_hat": "(z - z[0]) / np.sqrt(var + eps)"},
    ),
    no_eps_but_at_zero=(
        NO_EPS_BUT_AT_ZERO,
        {"x_hat": "(z - mean) / np.sqrt(np.where(var == 0, 1, var))"},
    ),
)
NOT_TRANSPOSED = (
    "x is (N, in) and weight is (out, in), one row for each output: the matrix product is x @ "
    "weight.T, with weight transposed."
)
LINEAR.add_slips(
    one_for_each_example=(
        "Something has one number for each example, as z.mean(axis=1) has. Each output has its "
        "own mean and variance: axis=0.",
        {"mean": "z.mean(axis=1)"},
    ),
    not_transposed=(NOT_TRANSPOSED, {"z": "x @ weight"}),
    not_transposed_for_dot=(NOT_TRANSPOSED, {"z": "x.dot(weight)"}),
)
