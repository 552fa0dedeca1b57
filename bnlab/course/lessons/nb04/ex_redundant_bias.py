"""Exercise of notebook 04: a linear layer that leaves its bias to batch norm."""

import numpy as np

from bnlab.course.exercises.exercise import Case, Exercise


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
    no_scale=("gamma is missing: y = gamma * x_hat + beta.", {"return": "x_hat + beta"}),
    no_scale_and_shift=(
        "You return x_hat; gamma and beta are missing: y = gamma * x_hat + beta.",
        {"return": "x_hat"},
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
    not_centred=(
        "You divide by the standard deviation but do not subtract the mean first.",
        {"x_hat": "z / np.sqrt(var + eps)"},
    ),
    unbiased_variance=(
        "You divide the sum of squares by m - 1; Algorithm 1 divides by m.",
        {"var": "z.var(axis=0, ddof=1)"},
    ),
    eps_outside_root=(
        "You add eps to the standard deviation; it belongs to the variance, inside the square "
        "root.",
        {"x_hat": "(z - mean) / (np.sqrt(var) + eps)"},
    ),
    eps_forgotten=(
        "You leave eps out: a row of weights that is zero then gives 0 / 0. Add it to the "
        "variance.",
        {"x_hat": "(z - mean) / np.sqrt(var)"},
    ),
    eps_fixed=(
        "You always use 1e-5; use the argument eps.",
        {"x_hat": "(z - mean) / np.sqrt(var + 1e-5)"},
    ),
    wrong_axis=(
        "Your statistics run over the outputs of one example (axis=1). Examples are rows, so each "
        "output has its own statistics over axis=0.",
        {"mean": "z.mean(axis=1, keepdims=True)", "var": "z.var(axis=1, keepdims=True)"},
    ),
    divides_by_variance=(
        "You divide by the variance; divide by its square root, the standard deviation.",
        {"x_hat": "(z - mean) / (var + eps)"},
    ),
    subtracts_beta=(
        "You subtract beta; the algorithm adds it: y = gamma * x_hat + beta.",
        {"return": "gamma * x_hat - beta"},
    ),
    one_statistic_for_all=(
        "You take one mean and one variance over all of z; each output has its own (axis=0).",
        {"mean": "z.mean()", "var": "z.var()"},
    ),
    parentheses_forgotten=(
        "You divide the mean alone: z - mean / std is z - (mean / std). Put z - mean in "
        "parentheses.",
        {"x_hat": "z - mean / np.sqrt(var + eps)"},
    ),
    no_normalization=(
        "You scale and shift z itself. Between the linear map and gamma stands the normalization: "
        "x_hat = (z - mean) / sqrt(var + eps).",
        {"x_hat": "z"},
    ),
    not_scaled=(
        "You subtract the mean but never divide by the standard deviation.",
        {"x_hat": "z - mean"},
    ),
    mean_of_squares=(
        "Your variance is the mean of z squared: the mean has to be subtracted before squaring.",
        {"var": "(z**2).mean(axis=0)"},
    ),
    sum_of_squares=(
        "You divide by the root of the sum of squares; the variance is their mean, divided by m.",
        {"var": "((z - mean) ** 2).sum(axis=0)"},
    ),
    beta_inside_gamma=(
        "You multiply beta by gamma as well; scale first, then shift: y = gamma * x_hat + beta.",
        {"return": "gamma * (x_hat + beta)"},
    ),
    gamma_and_beta_swapped=(
        "gamma and beta are swapped: gamma is the factor, beta is what is added.",
        {"return": "beta * x_hat + gamma"},
    ),
)
