"""Exercise of notebook 07: batch norm in which each ghost batch normalizes itself."""

import numpy as np

from bnlab.course.exercises.exercise import Case, Exercise


def ghost_batchnorm_forward(x, gamma, beta, ghost_size, eps):
    """Algorithm 1 for each run of ghost_size consecutive rows."""
    ghosts = x.reshape(-1, ghost_size, x.shape[1])  # (ghosts, ghost_size, C)
    mean = ghosts.mean(axis=1, keepdims=True)  # (ghosts, 1, C)
    var = ghosts.var(axis=1, keepdims=True)
    x_hat = (ghosts - mean) / np.sqrt(var + eps)
    return gamma * x_hat.reshape(x.shape) + beta


def _batch(ghosts, ghost_size, c, eps=1e-5):
    """Make a draw in which each ghost and each feature has its own mean and std."""

    def draw(rng):
        n = ghosts * ghost_size
        mean = np.repeat(rng.normal(0, 2, (ghosts, c)), ghost_size, axis=0)
        std = np.repeat(rng.uniform(0.5, 2, (ghosts, c)), ghost_size, axis=0)
        x = mean + std * rng.normal(size=(n, c))
        return x, rng.uniform(0.5, 2, c), rng.normal(size=c), ghost_size, eps

    return draw


def _signed_gamma(rng):
    x, _, beta, size, eps = _batch(3, 2, 4)(rng)
    return x, np.array([-1.5, 0.0, 2.0, -0.3]), beta, size, eps


def _constant_in_one_ghost(rng):
    x, gamma, beta, size, eps = _batch(3, 5, 2)(rng)
    x[5:10, 0] = 0.25
    return x, gamma, beta, size, eps


def _small_variance(rng):
    x, gamma, beta, size, eps = _batch(2, 6, 3)(rng)
    x[:, 1] = 0.7 + 3e-3 * rng.normal(size=12)
    return x, gamma, beta, size, eps


GHOST = Exercise(
    name="ghost_batchnorm_forward",
    notebook="07",
    reference=ghost_batchnorm_forward,
    outputs=("y",),
    cases=(
        Case("three ghosts of four rows", _batch(3, 4, 5)),
        Case("two ghosts of seven rows, another eps", _batch(2, 7, 3, eps=1e-3), seed=1),
        Case("ghosts of two rows", _batch(5, 2, 4), seed=2),
        Case("one ghost, the whole batch", _batch(1, 6, 3), seed=3),
        Case("a negative gamma and a gamma of zero", _signed_gamma, seed=4),
        Case("a feature that is constant in one ghost", _constant_in_one_ghost, seed=5),
        Case("a feature whose variance is near eps", _small_variance, seed=6),
        Case("a large eps", _batch(4, 3, 2, eps=0.5), seed=7),
    ),
    hints=(
        "The first ghost_size rows are a batch of their own, then the next ghost_size rows. How "
        "many such batches are there?",
        "Either a loop over the ghosts, or one array of shape (ghosts, ghost_size, C): which axis "
        "do the statistics run over then?",
        "x.reshape(-1, ghost_size, C) keeps consecutive rows together. Use axis=1 and "
        "keepdims=True, normalize, and give the result the shape of x again.",
    ),
    minutes=5,
    difficulty=2,
    about_precision="Subtract the mean of the ghost first and square afterwards.",
)

DIVISORS = {
    "eps_outside_root": (
        "You add eps to the standard deviation; it belongs to the variance, inside the root.",
        "(np.sqrt(var) + eps)",
    ),
    "eps_forgotten": (
        "Your variance has no eps (added to x, it changes nothing): where x is constant, 0 is "
        "divided by 0. Add eps to the variance.",
        "np.sqrt(var)",
    ),
    "divides_by_variance": (
        "You divide by the variance; divide by its square root, the standard deviation.",
        "(var + eps)",
    ),
    "variance_alone": ("Divide by the root of var + eps, not by the variance.", "var"),
    "squared_eps": ("Your variance holds eps squared; add eps itself.", "np.sqrt(var + eps**2)"),
    "twice_eps": ("Your variance holds eps twice; add it once.", "np.sqrt(var + 2 * eps)"),
    "subtracted_eps": ("You subtract eps; add it to the variance.", "np.sqrt(var - eps)"),
    "divided_eps": (
        "Only eps divided by the number of values reaches your variance: is it added to the sum "
        "of squares? Add it to the variance.",
        "np.sqrt(var + eps * var.size / x.size)",
    ),
    "floor_of_eps": ("You take the larger of var and eps; add them.", "np.sqrt(var.clip(eps))"),
    "quotient_plus_eps": ("You add eps after dividing; add it to var.", "np.sqrt(var) + eps"),
    "spread_of_var": ("np.std is a spread; np.sqrt takes the root.", "np.std(var + eps)"),
}


def divided_wrongly(centred):
    """Table for `add_mistakes` to an x_hat = centred / np.sqrt(var + eps)."""
    return {n: (s, {"x_hat": f"{centred} / {by}"}) for n, (s, by) in DIVISORS.items()}


def scaled_wrongly(x_hat, column=""):
    """Table for `add_mistakes` to a return gamma * x_hat + beta; `column` spreads the two."""
    gamma, beta = f"gamma{column}", f"beta{column}"
    returns = {
        "no_scale_and_shift": (
            "You return x_hat; the scale and the shift are missing: y = gamma * x_hat + beta.",
            x_hat,
        ),
        "gamma_and_beta_swapped": (
            "gamma and beta are swapped: gamma is the factor, beta is what is added.",
            f"{beta} * {x_hat} + {gamma}",
        ),
        "shift_forgotten": ("beta is missing: y = gamma * x_hat + beta.", f"{gamma} * {x_hat}"),
        "scale_forgotten": ("gamma is missing: y = gamma * x_hat + beta.", f"{x_hat} + {beta}"),
        "subtracts_beta": ("You subtract beta; add it.", f"{gamma} * {x_hat} - {beta}"),
        "beta_inside_gamma": (
            "You multiply beta by gamma too: scale x_hat first, then add beta.",
            f"{gamma} * ({x_hat} + {beta})",
        ),
        "one_gamma_for_all": (
            "You use the first gamma and the first beta throughout; each feature has its own.",
            f"gamma[0] * {x_hat} + beta[0]",
        ),
        "x_itself": ("You return x as it came.", "x"),
    }
    return {name: (sentence, {"return": change}) for name, (sentence, change) in returns.items()}


GHOST.add_mistakes(
    whole_batch=(
        "You normalize the whole batch at once, so ghost_size changes nothing. Each ghost of "
        "ghost_size rows uses its own mean and variance.",
        {"ghosts": "x[None]"},
    ),
    size_taken_as_number=(
        "You make ghost_size ghosts; ghost_size is the number of rows *in* a ghost.",
        {"ghosts": "x.reshape(ghost_size, -1, x.shape[1])"},
    ),
    interleaved=(
        "Your ghosts are interleaved: every k-th row. A ghost is a run of consecutive rows, so "
        "the ghosts come first: x.reshape(-1, ghost_size, C), with statistics over axis 1.",
        {
            "ghosts": "x.reshape(ghost_size, -1, x.shape[1])",
            "mean": "ghosts.mean(axis=0)",
            "var": "ghosts.var(axis=0)",
        },
    ),
    first_ghost_for_all=(
        "You normalize every row by the mean and the variance of the first ghost; each ghost has "
        "its own.",
        {"mean": "ghosts[0].mean(axis=0)", "var": "ghosts[0].var(axis=0)"},
    ),
    pooled_variance=(
        "Each ghost is centred by its own mean, but divided by the standard deviation of the "
        "whole batch. The variance belongs to the ghost as well.",
        {"var": "x.var(axis=0)"},
    ),
    averaged_variance=(
        "Each ghost is centred by its own mean, but all are divided by the average of the ghosts' "
        "variances. Each ghost uses its own.",
        {"var": "ghosts.var(axis=1).mean(axis=0)"},
    ),
    pooled_mean=(
        "You divide by the standard deviation of each ghost, but centre by the mean of the whole "
        "batch. The mean belongs to the ghost as well.",
        {"mean": "x.mean(axis=0)"},
    ),
    averaged_statistics=(
        "You use the average mean and the average variance of the ghosts for all rows: that takes "
        "the noise of small batches away again. Each ghost uses its own.",
        {"mean": "ghosts.mean(axis=1).mean(axis=0)", "var": "ghosts.var(axis=1).mean(axis=0)"},
    ),
    unbiased_variance=(
        "You divide the sum of squares by ghost_size - 1; Algorithm 1 divides by the number of "
        "values, here ghost_size.",
        {"var": "ghosts.var(axis=1, keepdims=True, ddof=1)"},
    ),
    divided_by_the_batch=(
        "You divide the sum of squares of a ghost by the size of the whole batch; divide it by "
        "ghost_size.",
        {"var": "((ghosts - mean) ** 2).sum(axis=1, keepdims=True) / len(x)"},
    ),
    features_mixed=(
        "You take one mean and one variance for a whole ghost; each feature of the ghost has its "
        "own.",
        {
            "mean": "ghosts.mean(axis=(1, 2), keepdims=True)",
            "var": "ghosts.var(axis=(1, 2), keepdims=True)",
        },
    ),
    statistics_across_ghosts=(
        "Rows with the same place in their ghost share your statistics, so every ghost_size-th "
        "row. They run over the rows *in* a ghost: axis 1 of (ghosts, ghost_size, C).",
        {"mean": "ghosts.mean(axis=0)", "var": "ghosts.var(axis=0)"},
    ),
    other_ghosts_left_alone=(
        "You normalize the first ghost and no other.",
        {"return": "np.concatenate([gamma * x_hat[0] + beta, x[ghost_size:]])"},
    ),
    not_centred=(
        "You do not subtract the mean of the ghost first.",
        {"x_hat": "ghosts / np.sqrt(var + eps)"},
    ),
    **divided_wrongly("(ghosts - mean)"),
    **scaled_wrongly("x_hat.reshape(x.shape)"),
    layer_norm=(
        "You normalize each row over its own features: this is layer norm. Each feature has a "
        "mean and a variance over the rows of its ghost.",
        {"mean": "ghosts.mean(axis=2, keepdims=True)", "var": "ghosts.var(axis=2, keepdims=True)"},
    ),
    last_ghost_left_alone=(
        "You normalize every ghost but the last: does a loop stop one ghost early?",
        {"return": "np.r_[(gamma * x_hat[:-1] + beta).reshape(-1, len(gamma)), x[-ghost_size:]]"},
    ),
    last_ghost_left_at_zero=(
        "Every ghost is right but the last, which is all 0: does a loop stop one ghost early?",
        {"return": "np.r_[(gamma * x_hat[:-1] + beta).reshape(-1, len(gamma)), 0 * ghosts[-1]]"},
    ),
    rows_in_another_order=(
        "Your rows are normalized right but come back in another order: the first row of each "
        "ghost, then the second of each. Reshape (ghosts, ghost_size, C) as it is.",
        {"return": "gamma * x_hat.swapaxes(0, 1).reshape(x.shape) + beta"},
    ),
    statistics_of_the_ghost_before=(
        "Each ghost is normalized by the statistics of the ghost before it (the first by those of "
        "the last); each has its own.",
        {
            "mean": "np.roll(ghosts, 1, axis=0).mean(axis=1, keepdims=True)",
            "var": "np.roll(ghosts, 1, axis=0).var(axis=1, keepdims=True)",
        },
    ),
    all_rows_so_far=(
        "Your statistics run from the first row to the end of the ghost, x[:stop]; they run over "
        "the rows of this ghost alone, x[start:stop].",
        {
            "mean": "np.array([[x[: len(g) * k + len(g)].mean(0)] for k, g in enumerate(ghosts)])",
            "var": "np.array([[x[: len(g) * k + len(g)].var(0)] for k, g in enumerate(ghosts)])",
        },
    ),
)

GHOST.add_slips(
    statistics_lack_an_axis=(
        "Statistics of shape (ghosts, C) do not fit beside (ghosts, ghost_size, C): keepdims=True "
        "keeps the axis of the mean and of the variance.",
        {"mean": "ghosts.mean(axis=1)"},
    ),
    statistics_beside_the_rows=(
        "Statistics of shape (ghosts, C) do not fit beside x, (N, C). Subtract them from the view "
        "(ghosts, ghost_size, C), with keepdims=True.",
        {"x_hat": "x - ghosts.mean(axis=1)"},
    ),
)
