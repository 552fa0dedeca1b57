"""Claims that come from remarks in the paper: there is a source, and no test of them here."""

from bnlab.course.experiments.evidence import Claim, Definition

W12_SEVEN_CHANGES = Definition(
    Claim(
        "W12",
        "With batch norm let the learning rate decay faster, drop local response normalization "
        "and distort the images less.",
        "This is what one paper did with one network, as three of seven changes made at the same "
        "time. Nobody can tell from it what each change did, and it is not tested here.",
        "definition",
        "08",
        "Ioffe & Szegedy 2015, section 4.2.1",
    ),
    "IMPRECISE",
)

W13_LOCAL_MINIMA = Definition(
    Claim(
        "W13",
        "Without batch norm training gets stuck in poor local minima.",
        "The paper says so in passing, as a risk of high learning rates. We know of no test that "
        "tells a local minimum from a slow place or a saturated network.",
        "definition",
        "08",
        "Ioffe & Szegedy 2015, section 3.3",
    ),
    "CONTESTED",
)
