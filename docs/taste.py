"""What a learner may write, shown on the first page with what `check` says to it."""


def batchnorm_forward(x, gamma, beta, eps):
    """Algorithm 1, from memory."""
    x_hat = (x - x.mean(axis=0)) / (x.std(axis=0) + eps)
    return gamma * x_hat + beta
