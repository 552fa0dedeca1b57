"""The capstone as a question: its answer is the number that `examine` gives."""

import itertools

from bnlab.course.exercises.exercise import Mistake, Question
from bnlab.course.lessons.nb09.capstone import LEFT, READS, RUNS, TRAINS, receipt

SENTENCES = {
    "not finite": "A running mean or variance of your Reader is nan or inf: one broken scan went "
    "through a batch norm in training mode, and leaving out its step came too late.",
    "backbone moves": "The running statistics of the frozen backbone are no longer those it came "
    "with, and the old scanner pays for it: requires_grad_(False) does not hold them.",
    "padding counts": "In training mode more padding changes the outputs for the real digits: "
    "positions without a digit count in the mean and the variance.",
    "dropout first": "In evaluation a batch norm of your new head meets a smaller variance than "
    "it has stored. What in front of it works in training only?",
}
STOPPED = {
    RUNS: "Your script stops before it could be tried; examine prints where and why. It has to "
    "define Reader and train(reader, x, labels, mask).",
    TRAINS: "Your train has changed nothing in the new head, or no batch norm in it was at work: "
    "examine prints which. It trains your Reader by your train, and looks at nothing that the "
    "script prints. Mend the mistakes and keep batch norm in the head.",
    READS: "None of the four is seen any more, and the accuracy is below the target. Does every "
    "layer, the backbone too, do the same in training as in evaluation, but for batch norm in the "
    "new head? Then compare with the script as it was.",
}
COUNTS = ("", "One mistake is left.", "Two mistakes are left, first this one.",
          "Three mistakes are left, first this one.",
          "All four mistakes are left, first this one.")  # fmt: skip


def _left(names):
    """One sentence at a time, the first in the order of `LEFT`; how many are left is counted."""
    said = f"{COUNTS[len(names)]} {SENTENCES[names[0]]}"
    return Mistake("_and_".join(names).replace(" ", "_"), said, receipt(*names))


CAPSTONE = Question(
    name="capstone",
    notebook="09",
    answer=receipt(),
    explanation="Both scanners are read, and nothing is left: the statistics are finite, the "
    "backbone is what it was, padding changes no output, and no dropout comes before a batch norm.",
    hints=(
        "First look for what is not finite. Train once, then go through reader.named_buffers(). "
        "Which came first, the bad loss or the bad buffer?",
        "Then compare what should stand still with what it was: the buffers of reader.backbone "
        "before and after training. What does reader.train() do to them?",
        "Then ask whether an answer depends on its company: in training mode, the same words "
        "padded to 20 positions in place of 12. Which values go into the mean?",
        "Then compare the two modes: in which order are the layers of the new head called, and "
        "which of them acts in training only?",
        "Four places: the loop before the forward pass; the line after reader.train(); forward, "
        "where the mask comes last and could come first; the order of the layers.",
    ),
    minutes=20,
    difficulty=3,
    rtol=1e-9,
    mistakes=(
        *(_left(names) for n in range(1, 5) for names in itertools.combinations(LEFT, n)),
        *(Mistake(kind.replace(" ", "_"), said, receipt(kind)) for kind, said in STOPPED.items()),
    ),
)
