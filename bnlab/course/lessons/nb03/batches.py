"""The batches on which both backward exercises of notebook 03 are checked."""

import numpy as np

from bnlab.course.exercises.exercise import Case


def _batch(n, c, eps=1e-5, mean=0.0):
    """Draws (dy, x, gamma, beta, eps); each channel has a mean, a std and a gamma of its own."""

    def draw(rng):
        x = mean + rng.normal(0, 2, c) + rng.uniform(0.5, 2, c) * rng.normal(size=(n, c))
        dy = rng.normal(size=(n, c)) + rng.normal(size=c)
        return dy, x, rng.uniform(0.5, 2, c), rng.normal(size=c), eps

    return draw


def _signed_gamma(rng):
    dy, x, _, beta, eps = _batch(6, 4)(rng)
    return dy, x, np.array([-1.5, 0.0, 2.0, -0.3]), beta, eps


def _small_variance(rng):
    dy, x, gamma, beta, eps = _batch(9, 3)(rng)
    x[:, 1] = 0.7 + 3e-3 * rng.normal(size=9)  # variance about 1e-5
    return dy, x, gamma, beta, eps


def _constant_feature(rng):
    dy, x, gamma, beta, eps = _batch(5, 3)(rng)
    x[:, 0] = 0.25
    return dy, x, gamma, beta, eps


def batches(arguments=lambda *drawn: drawn):
    """The cases of both backward exercises; `arguments` makes what the function receives."""

    def case(name, draw, seed):
        return Case(name, lambda rng: arguments(*draw(rng)), seed)

    return (
        case("a typical batch", _batch(8, 5), 0),
        case("odd sizes and another eps", _batch(7, 3, eps=1e-3), 1),
        case("two examples", _batch(2, 4), 2),
        case("a negative gamma and a gamma of zero", _signed_gamma, 3),
        case("a feature whose variance is near eps", _small_variance, 4),
        case("a constant feature", _constant_feature, 5),
        case("a large eps", _batch(10, 2, eps=0.5), 6),
        case("a large mean", _batch(64, 3, mean=1e3), 7),
    )
