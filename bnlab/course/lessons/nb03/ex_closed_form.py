"""Exercise of notebook 03: the backward pass in one line."""

from bnlab.batchnorm import batchnorm_forward
from bnlab.course.exercises.exercise import Exercise
from bnlab.course.lessons.nb02.ex_batchnorm_algorithm import wrong_roots
from bnlab.course.lessons.nb03.batches import batches
from bnlab.course.lessons.nb03.ex_backpropagation import VALUES_OF_ROWS


def batchnorm_backward(dy, cache):
    """Closed form: dy less its mean and its part along x_hat, times gamma / sqrt(var + eps)."""
    m = len(dy)
    x_hat = cache.x_hat  # (N, C)
    dgamma = (dy * x_hat).sum(axis=0)  # (C,)
    dbeta = dy.sum(axis=0)  # (C,)
    mean = dbeta / m  # of dy, (C,)
    along = x_hat * dgamma / m  # the part of dy along x_hat, (N, C)
    factor = cache.gamma * cache.inv_std  # (C,)
    dx = factor * (dy - mean - along)
    return dx, dgamma, dbeta


def _upstream_and_cache(dy, x, gamma, beta, eps):
    return dy, batchnorm_forward(x, gamma, beta, eps)[1]


def _in_the_factor(root):
    root = root.replace("var", "cache.var").replace("eps", "cache.eps")
    return {"factor": f"cache.gamma / ({root})"}


CLOSED_FORM = Exercise(
    name="batchnorm_backward",
    notebook="03",
    reference=batchnorm_backward,
    outputs=("dx", "dgamma", "dbeta"),
    cases=batches(_upstream_and_cache),
    hints=(
        "Compute dgamma and dbeta first: the two means in the closed form are these two, divided "
        "by m.",
        "cache.x_hat has the shape of dy; cache.gamma and cache.inv_std have one value per "
        "feature, and inv_std is 1 / sqrt(var + eps), so it multiplies.",
        "Inside the bracket of the closed form stand three terms of shape (N, C): dy, a mean of "
        "dy over axis 0, and x_hat times a mean of dy * x_hat over axis 0.",
    ),
    minutes=10,
    difficulty=2,
)


CLOSED_FORM.add_mistakes(
    ("dx",),
    # the bracket
    detached_mean=(
        "Your dx does not subtract the mean of dy, as if the batch mean were a constant.",
        {"mean": "0"},
    ),
    detached_variance=(
        "Your dx lacks the term x_hat * mean(dy * x_hat), or has a zero there: that is the "
        "gradient with the batch variance taken as a constant. (mean(dy) * mean(x_hat) is 0.)",
        {"along": "0"},
    ),
    detached_statistics=(
        "Your dx is gamma / sqrt(var + eps) * dy, but mean and variance also move with every x.",
        {"dx": "factor * dy"},
    ),
    sums_for_means=(
        "In dx you subtract the sums of dy and of dy * x_hat; the closed form has their means.",
        {"mean": "dbeta", "along": "x_hat * dgamma"},
    ),
    sum_in_the_last_term=(
        "The last term of dx has the sum of dy * x_hat; the closed form has the mean.",
        {"along": "x_hat * dgamma"},
    ),
    m_is_the_whole_array=(
        "You take dy.size for m; m is the number of values of one feature, the number of rows.",
        {"m": "dy.size"},
    ),
    m_minus_one=(
        "You divide by m - 1; both means of the closed form are divided by m, like the variance.",
        {"m": "len(dy) - 1"},
    ),
    means_over_features=(
        "Your means run over the features of one row (axis=1); they run over the batch (axis=0).",
        {
            "mean": "dy.mean(axis=1, keepdims=True)",
            "along": "x_hat * (dy * x_hat).mean(axis=1, keepdims=True)",
        },
    ),
    last_term_added=(
        "You add the last term of dx; it is subtracted: the part of dy along x_hat is taken away.",
        {"dx": "factor * (dy - mean + along)"},
    ),
    product_of_means=(
        "Your last term is x_hat * mean(dy). It takes the mean of the product dy * x_hat.",
        {"along": "x_hat * mean"},
    ),
    # the factor in front of it
    gamma_forgotten=(
        "gamma is missing in dx: y = gamma * x_hat + beta, so gamma * dy goes back to x_hat.",
        {"factor": "cache.inv_std"},
    ),
    inv_std_forgotten=(
        "The division by sqrt(var + eps) is missing in dx: multiply by cache.inv_std.",
        {"factor": "cache.gamma"},
    ),
    divides_by_inv_std=(
        "You divide by inv_std, which is 1 / sqrt(var + eps) already: multiply by it.",
        {"factor": "cache.gamma / cache.inv_std"},
    ),
    # more of the bracket
    means_over_everything=(
        "Your means run over the whole array; each feature has its own: they need axis=0.",
        {"mean": "dy.mean()", "along": "x_hat * (dy * x_hat).mean()"},
    ),
    first_mean_over_everything=(
        "Your first mean, that of dy, is a single number for the whole array; it needs axis=0.",
        {"mean": "dy.mean()"},
    ),
    first_term_added=(
        "You add the mean of dy in dx; it is subtracted, as the mean of x is in the forward pass.",
        {"dx": "factor * (dy + mean - along)"},
    ),
    both_terms_added=(
        "You add both means in dx; both are subtracted, like what mean and variance take away.",
        {"dx": "factor * (dy + mean + along)"},
    ),
    sum_in_the_first_term=(
        "The first term of dx has the sum of dy; the closed form has the mean.",
        {"mean": "dbeta"},
    ),
    last_term_without_x_hat=(
        "Your last term is mean(dy * x_hat) alone. It is multiplied by x_hat, row by row.",
        {"along": "dgamma / m"},
    ),
    last_term_with_dy=(
        "Your last term is dy * mean(dy * x_hat). What is taken away is a multiple of x_hat.",
        {"along": "dy * dgamma / m"},
    ),
    m_times_too_large=(
        "Your dx is m times too large: divide m * dy - dbeta - x_hat * dgamma by m as a whole.",
        {"dx": "factor * (m * dy - dbeta - x_hat * dgamma)"},
    ),
    divided_by_m_again=(
        "Your dx is m times too small: the two means hold their 1/m already, and dy has none.",
        {"dx": "factor * (dy - mean - along) / m"},
    ),
    # more of the factor
    factor_on_dy_alone=(
        "gamma * inv_std multiplies only dy in your dx: put the three terms in parentheses.",
        {"dx": "factor * dy - mean - along"},
    ),
    factor_forgotten=(
        "Your dx is the bracket alone: the factor gamma / sqrt(var + eps) is missing.",
        {"dx": "dy - mean - along"},
    ),
    eps_forgotten_in_the_factor=(
        "The factor of your dx is gamma / sqrt(var), without eps: use cache.inv_std.",
        {"factor": "cache.gamma / cache.var**0.5"},
    ),
    eps_fixed_in_the_factor=(
        "The factor of your dx always has 1e-5 in it; cache.inv_std has the eps that was used.",
        {"factor": "cache.gamma / (cache.var + 1e-5) ** 0.5"},
    ),
    **wrong_roots(
        _in_the_factor,
        but=("eps_forgotten", "eps_fixed", "divides_eps_by_m"),
        note=" In the factor of dx cache.inv_std has it right.",
    ),
    gamma_without_its_sign=(
        "In your dx gamma has lost its sign. It may be negative, and then turns that of dx.",
        {"factor": "abs(cache.gamma) * cache.inv_std"},
    ),
    # never computed, or of one row alone
    dx_zero=(
        "Your dx is 0: was it ever filled? The closed form has three terms and a factor.",
        {"dx": "0 * dy"},
    ),
    dx_of_dy=(
        "Your dx is dy itself; the closed form takes two means from it and has a factor in front.",
        {"dx": "dy"},
    ),
    dx_is_dx_hat=(
        "Your dx is gamma * dy, the gradient of x_hat (dx_hat): go on through the normalization.",
        {"dx": "cache.gamma * dy"},
    ),
    no_sum_over_the_batch=(
        "In your dx each row sees only its own dy (the diagonal of the Jacobian). Both means "
        "bring in the other rows: they run over the batch.",
        {"mean": "dy / m", "along": "x_hat**2 * dy / m"},
    ),
    # more of the bracket
    projected_exactly=(
        "The last term is divided by sum(x_hat^2), which eps makes less than m: divide by m.",
        {"along": "x_hat * dgamma / ((x_hat**2).sum(axis=0) + 1e-300)"},
    ),
    last_term_divided_by_m_minus_one=(
        "The last term of dx is divided by m - 1; the forward pass divides its variance by m.",
        {"along": "x_hat * dgamma / (m - 1)"},
    ),
    one_number_subtracted=(
        "Your dx subtracts one number from dy, the mean of the whole array. Each feature has its "
        "own mean (axis=0), and the last term is missing.",
        {"mean": "dy.mean()", "along": "0"},
    ),
)

CLOSED_FORM.add_mistakes(
    ("dx", "dgamma"),
    x_centred_for_x_hat=(
        "You use x - mean where x_hat belongs: divide it by sqrt(var + eps), or take cache.x_hat.",
        {"x_hat": "cache.x_centred"},
    ),
    eps_forgotten=(
        "You divide by sqrt(var) without eps; cache.inv_std is 1 / sqrt(var + eps).",
        {"x_hat": "cache.x_centred / cache.var**0.5", "factor": "cache.gamma / cache.var**0.5"},
    ),
)

CLOSED_FORM.add_mistakes(
    ("dgamma",),
    gamma_in_dgamma=(
        "Your dgamma holds a factor gamma: it is the sum of dy * x_hat, without gamma.",
        {"return": "dx, cache.gamma * dgamma, dbeta"},
    ),
    dgamma_averaged=(
        "Your dgamma is a mean over the batch. One gamma serves all m rows: sum.",
        {"return": "dx, dgamma / m, dbeta"},
    ),
    dgamma_from_the_centred_x=(
        "Your dgamma sums dy * (x - mean); gamma multiplies x_hat: divide by sqrt(var + eps).",
        {"return": "dx, (dy * cache.x_centred).sum(axis=0), dbeta"},
    ),
    dgamma_zero=(
        "Your dgamma is 0; it is the sum of dy * x_hat.",
        {"return": "dx, 0 * dgamma, dbeta"},
    ),
)

CLOSED_FORM.add_mistakes(
    ("dgamma", "dbeta"),
    parameters_averaged=(
        "Your dgamma and dbeta are means over the batch. They are sums: one gamma and one beta "
        "serve all m rows. (If the loss is a mean, its 1/N is in dy already.)",
        {"return": "dx, dgamma / m, dbeta / m"},
    ),
    parameters_swapped=(
        "Your dgamma is the sum of dy, which is dbeta: the order is dx, dgamma, dbeta.",
        {"return": "dx, dbeta, dgamma"},
    ),
)

CLOSED_FORM.add_mistakes(
    ("dbeta",),
    dbeta_averaged=(
        "Your dbeta is a mean over the batch. One beta serves all m rows: sum.",
        {"return": "dx, dgamma, dbeta / m"},
    ),
    gamma_in_dbeta=(
        "Your dbeta holds a factor gamma; beta is added after gamma has done its work: sum dy.",
        {"return": "dx, dgamma, cache.gamma * dbeta"},
    ),
    dbeta_zero=("Your dbeta is 0; it is the sum of dy.", {"return": "dx, dgamma, 0 * dbeta"}),
)

CLOSED_FORM.add_slips(means_of_rows=(VALUES_OF_ROWS, {"mean": "dy.mean(axis=1)"}))
