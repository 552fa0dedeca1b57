"""The capstone: each mistake costs accuracy, `examine` finds exactly what is left, and no more."""

import functools
import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from bnlab.course import check
from bnlab.course.exercises.registry import all_exercises
from bnlab.course.lessons.nb09 import capstone
from bnlab.course.lessons.nb09.capstone import LEFT, TARGET, begin, examine, receipt, words

SCRIPT = Path(capstone.__file__).with_name("capstone_script.py").read_text(encoding="utf-8")
NORM = "nn.Linear(50, 50, bias=False),\n            nn.BatchNorm1d(50),\n            nn.ReLU(),\n"
DROP = "            nn.Dropout(0.6),\n"
# What is left -> how it stands in the script, and mended.
MENDS = {
    "not finite": (
        "            logits = reader(x[rows]",
        "            if not x[rows].isfinite().all():\n                continue\n"
        "            logits = reader(x[rows]",
    ),
    "backbone moves": (
        "        reader.train()\n",
        "        reader.train()\n        reader.backbone.eval()\n",
    ),
    "padding counts": (
        "        h = self.backbone(x.flatten(0, 1))\n"
        "        logits = self.new_head(h).unflatten(0, mask.shape)\n"
        "        return logits[mask]\n",
        "        return self.new_head(self.backbone(x[mask]))\n",
    ),
    "dropout first": (
        2 * f"{DROP}            {NORM}",
        2 * f"            {NORM}" + DROP,
    ),
}


def script(left=(), *changes):
    """The script with these mistakes left, and with further changes."""
    text = SCRIPT
    for name, (wrong, right) in MENDS.items():
        assert text.count(wrong) == 1, name
        text = text if name in left else text.replace(wrong, right)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


@pytest.fixture
def examined(tmp_path, capsys):
    """What `check` says to a script, and the accuracies that `examine` printed, if it did."""

    def run(text):
        file = tmp_path / "a_script.py"
        file.write_text(text, encoding="utf-8")
        report, said = check("capstone", examine(file)), capsys.readouterr().out
        return report, said

    return run


def test_the_script_has_about_60_lines():
    assert len(SCRIPT.splitlines()) <= 70


def test_mended_it_is_correct_and_the_target_is_met(examined):
    report, said = examined(script())
    assert report.outcome == "correct"
    assert accuracy(said) > 100 * TARGET + 1


def accuracy(said):
    return float(said.partition("mean ")[2].partition("%")[0])


FEW = [(name,) for name in LEFT] + [LEFT]
COMBINATIONS = [
    pytest.param(left, marks=() if left in FEW else pytest.mark.slow, id=" + ".join(left))
    for n in range(1, 5)
    for left in itertools.combinations(LEFT, n)
]


@pytest.mark.parametrize("left", COMBINATIONS)
def test_what_is_left_is_found_and_costs_accuracy(examined, left):
    report, said = examined(script(left))
    assert report.mistake == "_and_".join(left).replace(" ", "_")
    assert accuracy(said) < 100 * TARGET - 2


@functools.cache
def measured(left):
    """Mean accuracy over three initialisations; one run of a noisy mistake would not tell."""
    file = Path(capstone.path()).with_name("measured.py")
    file.write_text(script(left), encoding="utf-8")
    found = []
    for seed in range(3):
        torch.manual_seed(seed)
        found.append(capstone._accuracies(capstone._trained_reader(file).eval()))
    return np.mean(found)


@pytest.mark.slow
def test_every_combination_costs_accuracy():
    """Padding and dropout together cost about what one of them does; nan hides all but one."""
    finite = LEFT[1:]
    clean = measured(())
    for n in range(1, 4):
        for left in itertools.combinations(finite, n):
            assert measured(left) < clean - 0.05, left
    for n in range(1, 3):
        for left in itertools.combinations(finite[1:], n):
            assert measured((finite[0], *left)) < measured(left) - 0.01, left
    assert measured(LEFT[:1]) < 0.6
    assert measured(LEFT[:2]) < measured(LEFT[:1]) - 0.3


# Other ways to mend it are right, too.
DROPPED = "nn.Dropout(0.6)"


@pytest.mark.parametrize(
    "change",
    [
        (DROPPED, "nn.Dropout(0.0)"),
        (f"{DROP}", ""),
        ("if not x[rows].isfinite().all():\n                continue", "x = x.nan_to_num(0, 0, 0)"),
        ("reader.backbone.eval()", "[m.eval() for m in reader.backbone.modules()]"),
        (
            "self.new_head(self.backbone(x[mask]))",
            "self.new_head(self.backbone(x.flatten(0, 1))[mask.flatten()])",
        ),
    ],
    ids=["dropout off", "no dropout", "nan_to_num", "module by module", "mask behind the backbone"],
)
def test_another_way_to_mend_is_right(examined, change):
    assert examined(script((), change))[0].outcome == "correct"


@pytest.mark.parametrize(
    ("text", "mistake", "said"),
    [
        ("print('mean 99.9%, the target is 90%')", "does_not_run", "KeyError: 'Reader'"),
        ("def f(:", "does_not_run", "SyntaxError"),
        ("raise SystemExit", "does_not_run", "SystemExit"),
        (script((), ("optimizer.step()", "optimizer.walk()")), "does_not_run", "(line 55)"),
        (script((), ("return self.old_head(", "return self.olds(")), "does_not_run", "olds"),
        (script((), ("range(epochs)", "range(0)")), "does_not_train", "what it was before"),
        (script((), ("lr=0.1", "lr=1e-5")), "reads_badly", "the target is 90%"),
        (script((), ("nn.BatchNorm1d(50)", "nn.Identity()")), "does_not_train", "no running"),
        (script((), ("nn.BatchNorm1d(50)", "nn.LayerNorm(50)")), "does_not_train", "no running"),
        (script((), ("reader.backbone.eval()", "reader.eval()")), "does_not_train", "no running"),
    ],
    ids=[
        "only prints",
        "syntax",
        "exits",
        "crashes",
        "crashes later",
        "trains not",
        "reads badly",
        "no batch norm",
        "layer norm",
        "evaluation mode",
    ],
)
def test_a_script_that_does_not_do_its_work_gets_a_sentence(examined, text, mistake, said):
    report, printed = examined(text)
    assert (report.outcome, report.mistake) == ("incorrect", mistake)
    assert said in printed
    assert "Traceback" not in printed


def test_a_missing_file_is_named(tmp_path, capsys):
    assert examine(tmp_path / "nothing.py") == receipt("does not run")
    assert "There is no nothing.py; begin() puts it there." in capsys.readouterr().out


def test_begin_never_overwrites():
    begin()
    assert capstone.path().read_text(encoding="utf-8") == SCRIPT
    capstone.path().write_text("mine", encoding="utf-8")
    begin()
    assert capstone.path().read_text(encoding="utf-8") == "mine"


def test_examine_changes_no_random_numbers(tmp_path):
    (tmp_path / "a.py").write_text("print(1)", encoding="utf-8")
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    examine(tmp_path / "a.py")
    assert torch.equal(torch.rand(2), expected)


def test_every_number_means_something_else():
    question = all_exercises()["capstone"]
    numbers = [question.answer, *(mistake.answer for mistake in question.mistakes)]
    assert len(set(numbers)) == 1 + 15 + 3
    assert all(number > 999 for number in numbers), "not to be guessed"


def test_words_are_padded_and_one_pixel_is_broken():
    x, labels, mask = words("train")
    assert x.shape == (600, 12, 64)
    assert labels.shape == mask.shape == (600, 12)
    assert (~x.isfinite()).sum() == 1
    assert not x[~mask].any()
    lengths = mask.sum(1)
    assert (lengths.diff() <= 0).all()
    assert (lengths.min(), lengths.max()) == (1, 8)
    assert words("test")[0].isfinite().all()
