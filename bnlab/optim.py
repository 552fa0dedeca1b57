"""Stochastic gradient descent, by torch's rule."""

__all__ = ["SGD"]


class SGD:
    r"""Gradient descent with momentum and weight decay.

    .. math:: g \leftarrow g + \lambda p, \quad v \leftarrow \mu v + g, \quad
              p \leftarrow p - \mathrm{lr}\, v

    `v` starts as the first gradient. This is the rule of ``torch.optim.SGD`` (dampening 0): the
    rate multiplies `v` when it is used, not when it is stored, so that a change of `lr` acts at
    once.

    Parameters
    ----------
    model : Layer
        Anything with ``parameters()`` and ``grads``.
    lr, momentum, weight_decay : float
        Attributes; they may be changed between steps.
    groups : sequence of dict
        Each dict has ``"names"``, a sequence of parameter names, and own values of ``"lr"``,
        ``"momentum"`` or ``"weight_decay"`` for these.

    Raises
    ------
    ValueError
        If a group holds an unknown setting, or a parameter that is unknown or has a group already.

    Examples
    --------
    >>> import numpy as np
    >>> from bnlab.layers import Linear
    >>> layer = Linear(1, 1, bias=False, rng=np.random.default_rng(0), std=0)
    >>> optimizer = SGD(layer, lr=0.1, momentum=0.5)
    >>> for _ in range(2):
    ...     _ = layer.forward(np.ones((1, 1)))
    ...     _ = layer.backward(np.ones((1, 1)))
    ...     optimizer.step()
    >>> layer.weight  # -0.1 * 1 - 0.1 * (0.5 * 1 + 1)
    array([[-0.25]])
    """

    def __init__(self, model, lr, momentum=0.0, weight_decay=0.0, groups=()):
        self.model = model
        self.lr, self.momentum, self.weight_decay = lr, momentum, weight_decay
        self._own = _settings_by_name(groups, model.parameters())
        self._velocity = {}

    def step(self):
        """Update every parameter in place with the gradients of the last backward pass."""
        grads = self.model.grads
        for name, parameter in self.model.parameters().items():
            if name not in grads:
                raise RuntimeError(
                    f"SGD.step needs a gradient of {name!r}, got none; "
                    "call the model's forward and backward first"
                )
            self._update(name, parameter, grads[name])

    def _update(self, name, parameter, direction):
        own = self._own.get(name, {})
        # Plain floats keep float32 parameters in float32 arithmetic.
        momentum = float(own.get("momentum", self.momentum))
        decay = float(own.get("weight_decay", self.weight_decay))
        if decay:
            direction = direction + decay * parameter
        if momentum:
            direction = momentum * self._velocity.get(name, 0) + direction
            self._velocity[name] = direction
        parameter -= float(own.get("lr", self.lr)) * direction


def _settings_by_name(groups, parameters):
    """{parameter name: its own settings}, or an error that says what does not fit."""
    settings = {}
    for group in groups:
        unknown = set(group) - {"names", "lr", "momentum", "weight_decay"}
        if unknown or "names" not in group:
            raise ValueError(
                'SGD needs groups with "names" and any of "lr", "momentum", "weight_decay", '
                f"got {sorted(group)}"
            )
        for name in group["names"]:
            if name not in parameters or name in settings:
                raise ValueError(
                    f"SGD needs each name in a group once and among the model's parameters, "
                    f"got {name!r}; the parameters are {', '.join(parameters)}"
                )
            settings[name] = {key: value for key, value in group.items() if key != "names"}
    return settings
