"""Claims about what batch norm's quantities are called and where they come from.

Definitions: the paper is the source, nothing is measured.
"""

from bnlab.course.experiments.evidence import Claim, Definition

A5_PER_FEATURE = Definition(
    Claim(
        "A5",
        "Each layer has one gamma and one beta.",
        "One pair for each feature of the layer; for images one pair for each channel.",
        "definition",
        "02",
        "Ioffe & Szegedy 2015, sections 3 and 3.2",
    ),
    "IMPRECISE",
)

A6_NOTATION = Definition(
    Claim(
        "A6",
        "Examples are columns, Z = W X; beta is the momentum of the averages and zeta the shift; "
        "gamma is the new variance.",
        "Each page has its own letters. Here and in torch examples are rows, Y = X W^T, beta is "
        "the shift, and gamma scales the standard deviation, so the variance is gamma^2.",
        "definition",
        "02",
        "Ioffe & Szegedy 2015, Algorithm 1; documentation of torch and Keras",
    ),
    "IMPRECISE",
)

A13_STATISTICS = Definition(
    Claim(
        "A13",
        "Batch norm updates its mean and variance after the gradient has been computed.",
        "They belong to the forward pass: y cannot be computed without them, and the gradient "
        "goes back through them.",
        "definition",
        "02",
        "Ioffe & Szegedy 2015, Algorithm 1 and section 3",
    ),
    "WRONG",
)

A14_PARAMETERS = Definition(
    Claim(
        "A14",
        "gamma and beta are computed from the whole sample.",
        "They are parameters, learned by gradient descent with the weights; they start at 1 and 0.",
        "definition",
        "02",
        "Ioffe & Szegedy 2015, section 3 and Algorithm 2",
    ),
    "WRONG",
)
