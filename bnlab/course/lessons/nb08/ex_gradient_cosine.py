"""Exercise of notebook 08: the cosine that measures how far a layer's gradient has turned."""

import numpy as np

from bnlab.course.exercises.exercise import Case, Exercise


def gradient_cosine(g, h):
    """Cosine of the angle between two gradients of the same shape; 0 if one of them is zero."""
    lengths = np.linalg.norm(g) * np.linalg.norm(h)
    return np.sum(g * h) / lengths if lengths > 0 else 0.0


def _pair(*shape, along=0.0, size=1.0, offset=0.0):
    """Make a draw of two arrays, the second one partly along the first."""

    def draw(rng):
        g = offset + rng.normal(size=shape)
        return size * g, size * (along * g + offset + rng.normal(size=shape))

    return draw


def _zero(rng):
    return np.zeros((3, 4)), rng.normal(size=(3, 4))


def _other_zero(rng):
    return rng.normal(size=(2, 5)), np.zeros((2, 5))


def _zero_entries(rng):
    """Some entries are 0, as below a ReLU, and one gradient sums to exactly 0."""
    g = rng.integers(-3, 4, (4, 5)).astype(np.float64)
    g[0], g[1, :2], g[1, 2] = 0.0, 0.0, 1.0
    g[-1, -1] -= g.sum()
    return g, g + rng.normal(size=(4, 5)) * (g != 0)


def _longer(rng):
    g = rng.normal(size=(4, 6))
    return g, 5 * g


COSINE = Exercise(
    name="gradient_cosine",
    notebook="08",
    reference=gradient_cosine,
    outputs=("cosine",),
    cases=(
        Case("the gradients of a linear layer", _pair(5, 4, along=0.7)),
        Case("two vectors", _pair(9, along=1.5), seed=1),
        Case("kernels of a convolution", _pair(2, 3, 3, 3, along=0.4), seed=2),
        Case("gradients that point apart", _pair(3, 7, along=-2.0), seed=3),
        Case("the same direction, another length", _longer, seed=4),
        Case("very small gradients", _pair(4, 4, along=0.8, size=1e-6), seed=5),
        Case("gradients whose entries have a common mean", _pair(6, 5, offset=2.0), seed=6),
        Case("a gradient of zero", _zero, seed=7),
        Case("the second gradient is zero", _other_zero, seed=8),
        Case("entries that are zero, and a sum of zero", _zero_entries, seed=9),
        Case("even smaller gradients", _pair(3, 5, along=0.6, size=1e-10), seed=10),
    ),
    hints=(
        "Flatten both arrays in your mind: a gradient of a whole layer is one long vector.",
        "cos = (g . h) / (length of g times length of h). The dot product of two long vectors is "
        "the sum of the products of their entries.",
        "np.linalg.norm of an array without an axis is the length of the long vector. Treat a "
        "length of zero before you divide by it.",
    ),
    minutes=4,
    difficulty=1,
)


def _mean_cosine(rows_of_g, rows_of_h):
    return np.mean([gradient_cosine(a, b) for a, b in zip(rows_of_g, rows_of_h, strict=True)])


def _unit(g):
    return g / np.linalg.norm(g)


COSINE.add_mistakes(
    not_normalized=(
        "You return the dot product alone. It grows with the length of the gradients; divide it "
        "by both lengths.",
        {"return": "np.sum(g * h)"},
    ),
    sign_lost=(
        "You return the size of the cosine. Its sign matters: -1 says that the layer now wants to "
        "go back, which is as far from +1 as one can get.",
        {"return": "abs(gradient_cosine(g, h))"},
    ),
    angle=(
        "You return the angle in radians; the exercise asks for its cosine.",
        {"return": "np.arccos(np.clip(gradient_cosine(g, h), -1, 1))"},
    ),
    cosine_distance=(
        "You return 1 - cos, the cosine distance. Here equal directions give 1, not 0.",
        {"return": "1 - gradient_cosine(g, h)"},
    ),
    mean_over_rows=(
        "You take a cosine for each row and average. The layer has one gradient: one long vector, "
        "in which long rows count for more.",
        {"return": "_mean_cosine(g, h)"},
    ),
    mean_over_columns=(
        "You take a cosine along the first axis and average. The layer has one gradient: one long "
        "vector, so the sums run over all axes.",
        {"return": "_mean_cosine(g.reshape(len(g), -1).T, h.reshape(len(h), -1).T)"},
    ),
    squared_lengths=(
        "You divide by the squared lengths. The square root is missing: a length is the root of "
        "the sum of squares.",
        {"lengths": "np.sum(g**2) * np.sum(h**2)"},
    ),
    projection=(
        "You divide by the squared length of g alone: this is how much of g is in h, and it grows "
        "with h. Divide by each length once.",
        {"lengths": "np.sum(g**2)"},
    ),
    correlation=(
        "You subtract the means first, so this is Pearson's correlation. A gradient is a "
        "direction from zero; its mean is part of it.",
        {"return": "gradient_cosine(g - g.mean(), h - h.mean())"},
    ),
    distance=(
        "You return the distance between the two gradients. The cosine compares directions only, "
        "whatever their lengths.",
        {"return": "np.linalg.norm(g - h)"},
    ),
    lengths_added=(
        "You divide by the sum of the lengths; divide by their product.",
        {"lengths": "np.linalg.norm(g) + np.linalg.norm(h)"},
    ),
    sums_of_absolute_values=(
        "You measure the lengths as sums of absolute values; the cosine needs the roots of the "
        "sums of squares.",
        {"lengths": "np.abs(g).sum() * np.abs(h).sum()"},
    ),
    mean_of_products=(
        "You take the mean of the products but the lengths of whole vectors; add the products up.",
        {"return": "np.mean(g * h) / lengths if lengths > 0 else 0.0"},
    ),
    zero_divided_by_zero=(
        "For a gradient of zero you return NaN (0 / 0). It has no direction; return 0 then.",
        {"return": "np.sum(g * h) / lengths"},
    ),
    precedence=(
        "You divide by the first length and multiply by the second: a / b * c is (a / b) * c. Put "
        "the product of the lengths in parentheses.",
        {"return": "np.sum(g * h) / np.linalg.norm(g) * np.linalg.norm(h) if lengths > 0 else 0.0"},
    ),
    projection_on_h=(
        "You divide by the squared length of h alone: this is how much of h is in g, and it grows "
        "with g. Divide by each length once.",
        {"lengths": "np.sum(h**2)"},
    ),
    squared=(
        "You return the square of the cosine, which loses its sign.",
        {"return": "gradient_cosine(g, h) ** 2"},
    ),
    negated=(
        "Your sign is reversed. Two equal gradients have the cosine +1, although both steps go "
        "against them.",
        {"return": "-gradient_cosine(g, h)"},
    ),
    one_for_zero=(
        "For a gradient of zero you return 1. It points nowhere, so it does not agree with the "
        "other one; return 0 then.",
        {"return": "np.sum(g * h) / lengths if lengths > 0 else 1.0"},
    ),
    distance_of_directions=(
        "You return the distance between the two directions; it is 0 where the cosine is 1.",
        {"return": "np.linalg.norm(_unit(g) - _unit(h)) if lengths > 0 else 0.0"},
    ),
    zero_entry=(
        "You return 0 as soon as one entry is 0. A gradient is zero if all its entries are: look "
        "at its length.",
        {"return": "gradient_cosine(g, h) if g.all() and h.all() else 0.0"},
    ),
    close_to_zero=(
        "You return 0 for gradients that are small and not zero. Small gradients have a direction "
        "too: treat a length of exactly zero apart.",
        {"return": "0.0 if np.allclose(g, 0) or np.allclose(h, 0) else gradient_cosine(g, h)"},
    ),
    angle_in_degrees=(
        "You return the angle in degrees; the exercise asks for its cosine.",
        {"return": "np.degrees(np.arccos(np.clip(gradient_cosine(g, h), -1, 1)))"},
    ),
    share_of_equal_signs=(
        "You count how often the signs agree. The cosine weighs each pair of entries by its size.",
        {"return": "np.mean(np.sign(g) == np.sign(h))"},
    ),
    largest_entries=(
        "You divide by the largest entries; a length is the root of the sum of squares.",
        {"lengths": "abs(g).max() * abs(h).max()"},
    ),
    length_of_h_forgotten=("Divide by the length of h too.", {"lengths": "np.linalg.norm(g)"}),
    length_of_g_forgotten=("Divide by the length of g too.", {"lengths": "np.linalg.norm(h)"}),
    clipped_at_zero=(
        "You return 0 where the cosine is negative; it goes down to -1, where gradients oppose.",
        {"return": "max(gradient_cosine(g, h), 0.0)"},
    ),
    zero_h_forgotten=(
        "You return 0 when g is zero but NaN when h is: look at both lengths.",
        {"return": "np.sum(g * h) / lengths if g.any() else 0.0"},
    ),
)

SMALL = (
    "A small number against 0 / 0 takes over where gradients are small themselves: treat a length "
    "of exactly 0 apart."
)

COSINE.add_mistakes(
    **{
        f"{how}_{number}".replace("-", "_"): (
            SMALL,
            {"return": f"np.sum(g * h) / np.{how}(lengths, {number})"},
        )
        for number in ("1e-8", "1e-10", "1e-12", "1e-16")
        for how in ("add", "maximum")
    }
)

COSINE.add_slips(
    product_of_matrices=(
        "np.dot of matrices is a matrix product; np.sum(g * h) is the dot product of long vectors.",
        {"return": "np.dot(g, h)"},
    ),
)
