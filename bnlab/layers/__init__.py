"""The layers of the course: `bnlab.functional` with parameters, under torch's names.

State lives in layers and nowhere else. The functions use the symbols of the paper, the layers the
names of torch, and this is the one place where they meet:

=====================  =====================================================================
paper                  layer
=====================  =====================================================================
gamma, beta            ``weight``, ``bias``
E[x], Var[x]           ``running_mean``, ``running_var`` (fed the unbiased variance)
epsilon                ``eps``
(averaged over steps)  ``momentum``: running = (1 - momentum) * running + momentum * batch
=====================  =====================================================================
"""

from bnlab.layers.base import (
    Layer,
    Sequential,
)
from bnlab.layers.basic import (
    AvgPool2d,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    MaxPool2d,
    ReLU,
    Sigmoid,
    Tanh,
    mlp,
)
from bnlab.layers.norms import (
    BatchNorm,
    GroupNorm,
    LayerNorm,
)

__all__ = [
    "AvgPool2d",
    "BatchNorm",
    "Conv2d",
    "Dropout",
    "Flatten",
    "GroupNorm",
    "Layer",
    "LayerNorm",
    "Linear",
    "MaxPool2d",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Tanh",
    "mlp",
]
