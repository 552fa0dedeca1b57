"""bnlab: batch normalization, with every statement executed."""

from bnlab.batchnorm import (
    batchnorm_backward,
    batchnorm_forward,
    batchnorm_inference,
    fold_batchnorm,
)

__all__ = [
    "batchnorm_backward",
    "batchnorm_forward",
    "batchnorm_inference",
    "fold_batchnorm",
]
__version__ = "0.1.0"
