"""What every layer is: parameters, buffers, a mode, and a forward pass that backward remembers."""

import numpy as np

__all__ = ["Layer", "Sequential"]


class Layer:
    """Base class; the names and the behaviour of ``torch.nn.Module``.

    A subclass names its arrays and gives two methods: ``_forward(x)`` returns ``(y, cache)`` and
    ``_backward(dy, cache)`` returns dx and fills `grads`.

    Attributes
    ----------
    training : bool
        The mode; `train` and `eval` switch it.
    grads : dict
        Name to gradient of each parameter, from the last `backward`.

    Examples
    --------
    >>> class Double(Layer):
    ...     def _forward(self, x):
    ...         return 2 * x, "nothing to remember"
    ...     def _backward(self, dy, cache):
    ...         return 2 * dy
    >>> layer = Double()
    >>> layer(np.array([1.0, 2.0])), layer.backward(np.array([1.0, 0.0]))
    (array([2., 4.]), array([2., 0.]))
    """

    parameter_names = ()
    buffer_names = ()

    def __init__(self):
        self.training = True
        self.grads = {}
        self._cache = None

    def forward(self, x):
        """Return the output and, in training mode, remember what `backward` needs."""
        y, cache = self._forward(x)
        self._cache = (cache,) if self.training else None
        return y

    def backward(self, dy):
        """Return the gradient with respect to x of the last forward pass; fill `grads`."""
        if self._cache is None:
            raise RuntimeError(
                f"{type(self).__name__}.backward needs a forward pass in training mode before it: "
                "there was none, or the last one came after eval(); call train(), then forward(x)"
            )
        return self._backward(dy, *self._cache)

    def __call__(self, x):
        """Call `forward`."""
        return self.forward(x)

    def modules(self):
        """Yield the layer and, if it is made of layers, these after it; as in torch."""
        yield self

    def train(self, mode=True):
        """Switch to training mode (evaluation mode if `mode` is false); return the layer."""
        self.training = bool(mode)
        return self

    def eval(self):
        """Switch to evaluation mode; return the layer."""
        return self.train(False)

    def parameters(self):
        """Name to array, the live arrays: what the optimizer changes."""
        return self._present(self.parameter_names)

    def buffers(self):
        """Name to array, the live arrays: state that no gradient changes."""
        return self._present(self.buffer_names)

    def _present(self, names):
        arrays = {name: getattr(self, name) for name in names}
        return {name: array for name, array in arrays.items() if array is not None}

    def _state(self):
        return {**self.parameters(), **self.buffers()}

    def state_dict(self):
        """Copies of parameters and buffers, under torch's keys."""
        return {name: array.copy() for name, array in self._state().items()}

    def load_state_dict(self, state):
        """Copy arrays (or torch tensors) into the parameters and buffers; return the layer.

        Raises
        ------
        KeyError
            If a key is missing or unexpected; nothing is copied then.
        ValueError
            If a shape differs; nothing is copied then.
        """
        mine = self._state()
        _check_keys(type(self).__name__, set(mine), set(state))
        values = {name: np.asarray(state[name], dtype=array.dtype) for name, array in mine.items()}
        for name, array in mine.items():
            if values[name].shape != array.shape:
                raise ValueError(
                    f"load_state_dict needs {name!r} of shape {array.shape}, "
                    f"got {values[name].shape}; was the saved model built with other sizes?"
                )
        for name, array in mine.items():
            array[...] = values[name]
        return self


class Sequential(Layer):
    """Layers one after the other; keys and indices count from 0, as in torch.

    Examples
    --------
    >>> from bnlab.layers import Linear, ReLU
    >>> rng = np.random.default_rng(0)
    >>> model = Sequential(Linear(3, 2, rng=rng), ReLU(), Linear(2, 1, rng=rng))
    >>> list(model.parameters()), len(model), model[-1].weight.shape
    (['0.weight', '0.bias', '2.weight', '2.bias'], 3, (1, 2))
    """

    def __init__(self, *layers):
        # `grads` is a view of the layers' own, so there is nothing to set up in the base class.
        self.training = True
        self.layers = list(layers)
        _refuse_repeats(self)

    def forward(self, x):
        """Pass x through all layers."""
        for layer in self.layers:
            x = layer(x)
        return x

    def backward(self, dy):
        """Pass dy back through all layers."""
        for layer in reversed(self.layers):
            dy = layer.backward(dy)
        return dy

    def modules(self):
        """Yield the model, then its layers and what they are made of."""
        yield self
        for layer in self.layers:
            yield from layer.modules()

    def train(self, mode=True):
        """Switch the mode of all layers; return the model."""
        for layer in self.layers:
            layer.train(mode)
        return super().train(mode)

    @property
    def grads(self):
        """Name to gradient, for all layers."""
        return self._numbered(layer.grads for layer in self.layers)

    def parameters(self):
        """Name to array, for all layers."""
        return self._numbered(layer.parameters() for layer in self.layers)

    def buffers(self):
        """Name to array, for all layers."""
        return self._numbered(layer.buffers() for layer in self.layers)

    def _state(self):
        return self._numbered(layer._state() for layer in self.layers)

    @staticmethod
    def _numbered(dicts):
        return {f"{i}.{name}": array for i, d in enumerate(dicts) for name, array in d.items()}

    def __getitem__(self, index):
        chosen = self.layers[index]
        return Sequential(*chosen) if isinstance(index, slice) else chosen

    def __len__(self):
        return len(self.layers)

    def __iter__(self):
        return iter(self.layers)


def _refuse_repeats(model):
    seen = set()
    for layer in model.modules():
        if id(layer) in seen:
            raise ValueError(
                "Sequential needs a layer of its own for each place, got one "
                f"{type(layer).__name__} twice; a layer remembers its last forward pass: make two"
            )
        seen.add(id(layer))


def _check_keys(name, mine, theirs):
    if mine != theirs:
        missing, unexpected = sorted(mine - theirs), sorted(theirs - mine)
        raise KeyError(
            f"load_state_dict needs exactly the keys of this {name}: "
            f"missing {missing}, unexpected {unexpected}"
        )
