"""A mistake as an edit of the reference, and the table in which it stands."""

import dataclasses

import numpy as np
import pytest

from bnlab.course.exercises.edits import edited, source_of
from bnlab.course.exercises.exercise import Exercise


def standardized(x, eps):
    """Mean 0, variance 1."""
    mean = x.mean(axis=0)
    var = ((x - mean) ** 2).mean(axis=0)
    return (x - mean) / np.sqrt(var + eps)


def twice(x):
    """The same name, assigned twice."""
    y = x + 1
    y = 2 * y
    return y


X = np.array([[1.0, 2.0], [3.0, 6.0]])


def test_an_edit_changes_one_expression_and_what_follows_from_it():
    mistake = edited(standardized, {"mean": "x.mean()"})
    np.testing.assert_array_equal(
        mistake(X, 0.0), (X - 3) / np.sqrt(((X - 3) ** 2).mean(axis=0)), strict=True
    )
    np.testing.assert_array_equal(standardized(X, 0.0), [[-1, -1], [1, 1]])


def test_several_edits_and_the_return_go_together():
    mistake = edited(standardized, {"var": "mean + 1", "return": "var + eps"})
    np.testing.assert_array_equal(mistake(X, 0.5), [3.5, 5.5])


def test_an_edit_may_use_the_reference_and_what_its_module_holds():
    mistake = edited(standardized, {"return": "standardized(X, 1.0)"})
    np.testing.assert_array_equal(mistake(X, 0.0), standardized(X, 1.0))


def test_the_source_of_an_edit_is_what_somebody_would_write():
    source = source_of(standardized, {"mean": "x.mean()"})
    exec(source, made := {"np": np})
    mistake = edited(standardized, {"mean": "x.mean()"})
    np.testing.assert_array_equal(made["standardized"](X, 0.5), mistake(X, 0.5))


@pytest.mark.parametrize(
    ("function", "name", "times"),
    [(standardized, "std", 0), (standardized, "x", 0), (twice, "y", 2)],
)
def test_an_edit_needs_a_name_that_is_assigned_once(function, name, times):
    sentence = rf"{function.__name__} assigns once, or its return; '{name}' stands there {times} ti"
    with pytest.raises(ValueError, match=sentence):
        edited(function, {name: "0"})(X, 0.0)


def exercise(outputs):
    return Exercise("standardized", "99", standardized, outputs, (), (), 1, 1)


def test_a_table_takes_edits_and_functions():
    made = exercise(("y",))
    made.add_mistakes(
        one_mean=("One mean for all.", {"mean": "x.mean()"}),
        zeros=("Zeros.", lambda x, eps: np.zeros_like(x)),
    )

    @made.mistake("ones", "Ones.")
    def _(x, eps):
        return np.ones_like(x)

    assert [(m.name, m.about) for m in made.mistakes] == [
        ("one_mean", ("y",)), ("zeros", ("y",)), ("ones", ("y",))
    ]  # fmt: skip
    assert made.mistakes[2].answer(X, 0.0).min() == 1
    assert dataclasses.asdict(made.mistakes[0])["sentence"] == "One mean for all."


@pytest.mark.parametrize("about", [None, (), ("z",), ("y", "z")])
def test_with_several_outputs_a_mistake_states_its_scope(about):
    with pytest.raises(ValueError, match=r"states which of the outputs .* 'shift' of standardized"):
        exercise(("y", "mean")).add_mistakes(about, shift=("Shifted.", {"return": "x"}))
