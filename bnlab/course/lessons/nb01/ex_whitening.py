"""Exercises of notebook 01: whiten the inputs, and why a batch may be too small for it."""

import numpy as np

from bnlab.course.exercises.exercise import Case, Exercise, Mistake, Question
from bnlab.course.lessons.nb01.ex_standardize import (
    constant_feature,
    features,
    small_variance,
    standardize,
)


def zca_whiten(x, eps):
    """Decorrelate the features of x, shape (N, C), by the symmetric root of their covariance."""
    centred = x - x.mean(axis=0)
    covariance = centred.T @ centred / len(x)  # (C, C)
    values, vectors = np.linalg.eigh(covariance)  # one eigenvector in each column
    whitening = vectors / np.sqrt(values + eps) @ vectors.T  # (C, C), symmetric
    return centred @ whitening


ZCA = Exercise(
    name="zca_whiten",
    notebook="01",
    reference=zca_whiten,
    outputs=("z",),
    cases=(
        Case("a typical data set", features(20, 4)),
        Case("odd sizes and another eps", features(11, 3, eps=1e-3), seed=1),
        Case("two features", features(9, 2, eps=1e-4), seed=2),
        Case("fewer examples than features", features(4, 6, eps=1e-2), seed=3),
        Case("a constant feature", constant_feature, seed=4),
        Case("a large eps", features(15, 3, eps=0.5), seed=5),
        Case("a mean of 100", features(30, 3, mean=100.0), seed=6),
        Case("a feature whose variance is near eps", small_variance, seed=7),
    ),
    hints=(
        "Three steps: centre, find the covariance (C, C), multiply by its inverse square root.",
        "np.linalg.eigh gives the eigenvalues and, as columns, the eigenvectors V of the "
        "covariance. A function of a symmetric matrix acts on the eigenvalues alone.",
        "The whitening matrix is V D V' with D diagonal: 1 / sqrt(eigenvalue + eps). The last V' "
        "turns the data back to the old axes; without it you have PCA whitening.",
    ),
    minutes=6,
    difficulty=3,
)


ZCA.add_mistakes(
    only_standardized=(
        "You give each feature variance 1 but leave the correlations between features as they "
        "were. White also means uncorrelated: use the whole covariance matrix.",
        standardize,
    ),
    not_turned_back=(
        "You return the data along the eigenvectors, which is PCA whitening. ZCA turns them back "
        "to the old axes: multiply by the transposed eigenvectors once more.",
        {"whitening": "vectors / np.sqrt(values + eps)"},
    ),
    not_turned_back_svd=(
        "You return the data along the singular vectors, which is PCA whitening. ZCA turns them "
        "back to the old axes: multiply by the transposed vectors once more.",
        {"whitening": "np.linalg.svd(covariance)[0] / np.sqrt(values[::-1] + eps)"},
    ),
    eigenvectors_as_rows=(
        "eigh returns the eigenvectors as columns, V[:, i]. You use them as rows: the matrix is V "
        "D V', not V' D V.",
        {"whitening": "vectors.T / np.sqrt(values + eps) @ vectors"},
    ),
    second_not_transposed=(
        "You multiply by V twice. V turns the data to the eigenvectors, V' turns them back: the "
        "matrix is V D V'.",
        {"whitening": "vectors / np.sqrt(values + eps) @ vectors"},
    ),
    cholesky_root=(
        "You use a Cholesky factor as the root. The result is white, but turned: ZCA takes the "
        "symmetric root, which changes the data least.",
        {
            "covariance": "centred.T @ centred / len(x) + eps * np.eye(x.shape[1])",
            "whitening": "np.linalg.inv(np.linalg.cholesky(covariance)).T",
        },
    ),
    standardized_first=(
        "You standardize before you whiten. The result is white too, but it is the whitening of "
        "the correlations (ZCA-cor); here the covariance of x itself is asked.",
        {"centred": "standardize(x, eps)"},
    ),
    unbiased_covariance=(
        "You divide the covariance by N - 1, as np.cov does by default; the exercise divides by N.",
        {"covariance": "centred.T @ centred / (len(x) - 1)"},
    ),
    scatter_for_covariance=(
        "Your matrix is a sum of products, not their mean: divide by N.",
        {"covariance": "centred.T @ centred"},
    ),
    not_centred=(
        "You do not subtract the mean, so that the matrix is E[x x'] and not the covariance.",
        {"centred": "x"},
    ),
    mean_kept=(
        "The whitening matrix is right, but you apply it to x itself: apply it to the centred x, "
        "or the mean stays.",
        {"return": "x @ whitening"},
    ),
    root_forgotten=(
        "You multiply by the inverse of the covariance; its inverse square root makes the "
        "variances 1.",
        {"whitening": "vectors / (values + eps) @ vectors.T"},
    ),
    multiplied_by_the_root=(
        "You multiply by the root of the covariance, which makes the correlations stronger. "
        "Divide: 1 / sqrt(eigenvalue + eps).",
        {"whitening": "vectors * np.sqrt(values + eps) @ vectors.T"},
    ),
    eps_outside_root=(
        "You add eps to the root of the eigenvalue; it is added to the eigenvalue, inside the "
        "root.",
        {"whitening": "vectors / (np.sqrt(values) + eps) @ vectors.T"},
    ),
    eps_forgotten=(
        "You leave eps out. With fewer examples than features, or a constant feature, an "
        "eigenvalue is 0 (or a rounded -1e-17), and its inverse root is inf or NaN.",
        {"whitening": "vectors / np.sqrt(values) @ vectors.T"},
    ),
    eps_fixed=(
        "You always use 1e-5; use the argument eps.",
        {"whitening": "vectors / np.sqrt(values + 1e-5) @ vectors.T"},
    ),
    eps_in_every_entry=(
        "covariance + eps adds eps to every entry of the matrix. Added to the eigenvalues means "
        "on the diagonal only: covariance + eps * np.eye(C).",
        {
            "covariance": "centred.T @ centred / len(x) + eps",
            "whitening": "vectors / np.sqrt(values) @ vectors.T",
        },
    ),
    eps_as_floor=(
        "You replace the eigenvalues below eps by eps; here eps is added to every eigenvalue.",
        {"whitening": "vectors / np.sqrt(np.maximum(values, eps)) @ vectors.T"},
    ),
    only_turned=(
        "You turn the data to the eigenvectors: the features are uncorrelated now, but their "
        "variances are the eigenvalues. Divide by their roots, then turn back.",
        {"whitening": "vectors"},
    ),
    rows_scaled=(
        "You divide each feature by the root of an eigenvalue (or the rows of V where its columns "
        "are meant). Eigenvalues belong to eigenvectors: V / np.sqrt(values + eps) divides the "
        "columns.",
        {"return": "centred / np.sqrt(values + eps)"},
    ),
    root_of_each_entry=(
        "np.sqrt takes the root of each entry. The root of a *matrix* has the same eigenvectors "
        "and the roots of the eigenvalues.",
        {"whitening": "np.sqrt(np.linalg.inv(covariance + eps * np.eye(x.shape[1])))"},
    ),
    mean_added_again=(
        "You add the mean again at the end. White features have mean 0: leave it off.",
        {"return": "centred @ whitening + x.mean(axis=0)"},
    ),
    eps_without_effect=(
        "The argument eps is missing, or only something too small to count stands in its place. "
        "Add eps to every eigenvalue.",
        {"whitening": "vectors * (values > 1e-9) / np.sqrt(np.maximum(values, 1e-9)) @ vectors.T"},
    ),
    doubles_eps=(
        "You add eps twice to the eigenvalues; add it once.",
        {"whitening": "vectors / np.sqrt(values + 2 * eps) @ vectors.T"},
    ),
    examples_whitened=(
        "You whiten the examples: mean and covariance are those of the rows. The features are the "
        "columns: x.mean(axis=0), and a covariance of shape (C, C).",
        lambda x, eps: zca_whiten(x.T, eps).T,
    ),
    cholesky_not_transposed=(
        "You use a Cholesky factor L as the root, and inv(L) where rows need inv(L).T. ZCA takes "
        "the symmetric root, which is its own transpose.",
        {
            "covariance": "centred.T @ centred / len(x) + eps * np.eye(x.shape[1])",
            "whitening": "np.linalg.inv(np.linalg.cholesky(covariance))",
        },
    ),
    mirrored=(
        "Your z has the wrong sign: subtract the mean from x, and take the positive roots.",
        {"return": "-centred @ whitening"},
    ),
)
ZCA.add_slips(
    no_inverse=(
        "You invert a matrix that has no inverse: a constant feature has variance 0. Add eps to "
        "the eigenvalues of the covariance, then divide by their roots.",
        {"whitening": "np.linalg.inv(covariance)"},
    ),
)


RANK_FROM_A_BATCH = Question(
    name="rank_from_a_batch",
    notebook="01",
    answer=31,
    explanation="The 32 centred rows add up to zero, so that at most 31 of them are independent, "
    "and the covariance has at most that rank. At least 69 of its 100 eigenvalues are 0.",
    hints=(
        "The rank of the covariance is the number of independent rows of the centred batch.",
        "What is the sum of all rows, once their mean has been subtracted?",
    ),
    minutes=1,
    difficulty=2,
    rtol=1e-9,
    mistakes=(
        Mistake(
            "mean_forgotten",
            "32 rows, but their mean was subtracted: the last one follows from the others.",
            32,
        ),
        Mistake(
            "as_many_as_features",
            "The matrix is 100 by 100, but it is built from only 32 rows, and they cannot span "
            "100 directions.",
            100,
        ),
        Mistake(
            "features_minus_one",
            "One is lost to the mean, that is right; but count the rows of the batch, not its "
            "features.",
            99,
        ),
        Mistake("one_too_many", "The mean takes a direction away; it does not add one.", 33),
        Mistake("what_is_lost", "You count the eigenvalues that must be 0, not the others.", 69),
    ),
)
