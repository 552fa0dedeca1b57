"""What the adapters of the frameworks on JAX share."""

import jax
import jax.numpy as jnp
import numpy as np

__all__ = ["array", "numpy", "with_backward"]


def array(values, dtype):
    """A JAX array; without 64 bits, which JAX would have to be told for the whole process."""
    return jnp.asarray(values).astype(dtype)


def numpy(values):
    """A JAX array of any dtype in float64."""
    return np.asarray(jnp.asarray(values).astype("float32"), dtype=np.float64)


def with_backward(function, *inputs):
    """Call ``function(*inputs)``, which returns (y, state): y, its backward, and the state."""
    y, vjp, state = jax.vjp(function, *inputs, has_aux=True)

    def backward(dy):
        return [numpy(gradient) for gradient in vjp(array(dy, y.dtype))]

    return numpy(y), backward, state
