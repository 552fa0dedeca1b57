"""`mine`: the learner's function once it has passed, the course's until then, and which it is."""

import functools
import time

import numpy as np
import pytest

from bnlab.course import check, hint, mine, progress
from bnlab.course.exercises.exercise import Exercise, Question
from bnlab.course.exercises.registry import all_exercises, find

FUNCTIONS = [e for e in all_exercises().values() if isinstance(e, Exercise)]
X = np.array([[1.0, 2.0], [5.0, 6.0]])
MEANS = "def feature_means(x):\n    return x.mean(axis=0)\n"
WRONG = "def feature_means(x):\n    return x.mean(axis=0) + 1\n"
ASK = "report = check('feature_means', feature_means); found = mine('feature_means')\n"
OURS = "feature_means: the course's. "
YOURS = "feature_means: yours, "
COUNT = f"You have 1 of {len(FUNCTIONS)} functions so far."


def right(x):
    return x.mean(axis=0)


def wrong(x):
    return x.mean(axis=0) + 1


def stub(x):
    """To be written."""
    ...


def raises(x):
    raise ValueError("a...\nb")


@pytest.fixture
def file(tmp_path):
    return tmp_path / "my_batchnorm.py"


@pytest.fixture
def line(capsys):
    """The one line that `mine` prints, and what it returns."""

    def ask(name="feature_means"):
        capsys.readouterr()
        found = mine(name)
        out, err = capsys.readouterr()
        assert (out, err) == (f"{found.message}\n", "")
        assert "\n" not in found.message
        return found, found.message

    return ask


# Which of the two


def test_before_any_check_it_is_the_courses(line):
    found, said = line()
    assert said == OURS + "About 3 minutes in notebook 00 put yours here."
    assert (found.yours, found.attempt, found.name) == (False, None, "feature_means")
    assert found.whose == "the course's feature_means"
    assert repr(found) == "<the course's feature_means>"
    assert found(X).tolist() == [3, 4]


@pytest.mark.parametrize("exercise", FUNCTIONS, ids=lambda e: e.name)
def test_the_courses_gives_what_the_reference_gives(exercise, line):
    arguments = exercise.cases[0].arguments
    want, got = exercise.reference(*arguments()), line(exercise.name)[0](*arguments())
    assert type(got) is type(want)
    np.testing.assert_equal(got, want)


def test_a_function_that_passed_is_used(line):
    check("feature_means", right)
    found, said = line()
    assert said == f"{YOURS}the version that passed its check. {COUNT}"
    assert found.yours
    assert found.attempt is None
    assert repr(found) == "<your feature_means>"
    assert found(X).tolist() == [3, 4]


def test_in_a_new_kernel_it_comes_from_the_library(cell, restart, line):
    cell(MEANS + ASK)
    restart()
    found, said = line()
    assert said == f"{YOURS}from my_batchnorm.py. {COUNT}"
    assert found.yours


def test_what_is_not_kept_is_used_and_counted(line, restart):
    check("feature_means", functools.partial(np.mean, axis=0))
    assert line()[1] == f"{YOURS}the version that passed its check. {COUNT}"
    restart()
    assert not line()[0].yours


def test_nothing_attempted_is_no_trouble(line):
    check("feature_means", stub)
    assert line()[1].startswith(OURS + "About 3 minutes")
    check("feature_means", right)
    check("feature_means", stub)
    assert line()[1].endswith(COUNT)
    check("feature_means", wrong)
    check("feature_means", None)
    assert line()[1].endswith(COUNT)
    assert line()[0].attempt is None


def test_a_wrong_one_is_told_of_and_can_be_drawn(line):
    report = check("feature_means", wrong)
    found, said = line()
    assert said == f"{OURS}Your last one does not pass: {report.message}"
    assert (found.yours, found(X).tolist()) == (False, [3, 4])
    assert found.attempt(X).tolist() == [4, 5]


def test_an_earlier_one_that_passed_does_the_work(line):
    check("feature_means", right)
    report = check("feature_means", wrong)
    found, said = line()
    assert said == (
        f"{YOURS}the version that passed its check. Your last one does not pass: {report.message}"
    )
    assert (found.yours, found(X).tolist()) == (True, [3, 4])
    assert found.attempt(X).tolist() == [4, 5]
    check("feature_means", right)
    assert line()[0].attempt is None


def test_an_earlier_one_in_the_library_does_the_work_too(cell, restart, line):
    cell(MEANS + ASK)
    restart()
    check("feature_means", wrong)
    found, said = line()
    assert said.startswith(f"{YOURS}from my_batchnorm.py. Your last one does not pass: ")
    assert found.attempt(X).tolist() == [4, 5]


def test_an_error_is_told_in_one_line(line):
    check("feature_means", raises)
    found, said = line()
    assert "Your last one does not pass: Your function raised ValueError: a... b" in said
    assert found.attempt is None


def _changes(x):
    x -= 1
    return x.mean(axis=0)


@pytest.mark.parametrize(
    "answer",
    [lambda x: None, lambda x: x, _changes, lambda x: x.mean(axis=0).tolist(), raises],
    ids=["None", "shape", "changes x", "list", "raises"],
)
def test_what_cannot_be_drawn_or_would_spoil_the_lesson_is_no_attempt(answer, line):
    assert check("feature_means", answer).outcome in ("incorrect", "error")
    assert line()[0].attempt is None


@pytest.mark.parametrize("mistake", find("feature_means").mistakes, ids=lambda m: m.name)
def test_an_attempt_has_the_shape_of_the_answer(mistake, line):
    check("feature_means", mistake.answer)
    attempt = line()[0].attempt
    assert attempt is None or np.shape(attempt(X)) == (2,)


def test_the_last_right_version_of_this_kernel_goes_first(cell, names, line):
    """Even where the file has a later one that is right too, which is not written again."""
    for k in (1, 2, 1):
        cell(f"def feature_means(x):\n    x.k = {k}\n".replace("x.k", "k") + MEANS[22:] + ASK)
    assert names["found"].function.__closure__[1].cell_contents.__code__.co_consts[1] == 1


def test_a_callable_object_that_counts_as_false_is_used(line):
    class Falsy(list):
        def __call__(self, x):
            calls.append(x)
            return x.mean(axis=0)

    calls = []
    check("feature_means", Falsy())
    found = line()[0]
    calls.clear()
    found(X)
    assert len(calls) == 1


# What would surprise a lesson


def test_an_attempt_returns_nothing_besides_either(line):
    check("feature_means", lambda x: (x.mean(axis=0) + 1, "cache"))
    assert line()[0].attempt(X).tolist() == [4, 5]


def test_what_is_returned_besides_is_left_out(line):
    def with_cache(x, gamma, beta, eps):
        return find("batchnorm_forward").reference(x, gamma, beta, eps), {"mean": 0}

    def a_third(x, eps):
        return [*find("identity_parameters").reference(x, eps), 3]

    def more_keys(*args):
        return find("batchnorm_backward_staged").reference(*args) | {"more": 1}

    for name, answer in [
        ("batchnorm_forward", with_cache),
        ("identity_parameters", a_third),
        ("batchnorm_backward_staged", lambda dy, x, g, b, e: more_keys(dy, x, g, b, e)),
    ]:
        exercise = find(name)
        assert check(name, answer).outcome == "correct"
        arguments = exercise.cases[0].arguments
        found = line(name)[0]
        assert found.yours
        want, got = exercise.reference(*arguments()), found(*arguments())
        assert type(got) is type(want)
        np.testing.assert_equal(got, want)


def test_a_helper_that_is_overwritten_later_changes_nothing(cell, names, line):
    cell(
        f"def mean(x):\n    return x.mean(axis=0)\ndef feature_means(x):\n    return mean(x)\n{ASK}"
    )
    cell("def mean(x):\n    return 1 / 0")
    found, said = line()
    assert said.endswith(COUNT)
    assert found(X).tolist() == [3, 4]


def test_one_that_is_not_kept_has_to_pass_still(cell, line):
    cell("def mean(x):\n    return x.mean(axis=0)\n")
    cell(f"def feature_means(x):\n    return mean(x)\n{ASK}")
    assert line()[0].yours
    cell("def mean(x):\n    return 1 / 0")
    found, said = line()
    assert said.startswith(
        f"{OURS}The one in this notebook does not pass now: Your function raised ZeroDivisionError"
    )
    assert found(X).tolist() == [3, 4]


def test_mine_itself_is_no_answer(line):
    report = check("feature_means", mine("feature_means"))
    assert (report.outcome, report.message) == ("correct", "4 of 4 cases agree.")
    assert not line()[0].yours


# The file is changed by hand


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (WRONG, f"{OURS}The one in my_batchnorm.py does not pass now: means is wrong in 4 of 4"),
        (MEANS + WRONG, f"{OURS}The one in my_batchnorm.py does not pass now: "),
        (WRONG + MEANS, f"{YOURS}from my_batchnorm.py. {COUNT}"),
        (MEANS.replace("feature", "my"), f"{OURS}About 3 minutes"),
        ("feature_means = 3\n", f"{OURS}About 3 minutes"),
        ("def f(:\n", f"{OURS}my_batchnorm.py: line 1 of the file has a syntax error ("),
        ("\nraise ValueError('a\\nb')\n", f"{OURS}my_batchnorm.py: line 2 of the file raises Val"),
        ("print(3)\n" + MEANS, f"{YOURS}from my_batchnorm.py. {COUNT}"),
        (MEANS + "class A:\n    def __len__(self):\n        return 0\n"
         "    def __call__(self, x):\n        return x.mean(axis=0)\nfeature_means = A()\n",
         f"{YOURS}from my_batchnorm.py. {COUNT}"),
    ],
)  # fmt: skip
def test_what_the_file_holds_counts_if_it_passes(text, said, file, line):
    file.write_text(text)
    assert line()[1].startswith(said)
    assert line()[0](X).tolist() == [3, 4]
    assert file.read_text() == text


def test_the_file_may_change_while_the_kernel_runs(file, line):
    for text, yours in [(MEANS, True), (WRONG, False), (MEANS, True)]:
        file.write_text(text)
        assert line()[0].yours == yours


# Questions and unknown names


def test_an_unknown_name_is_a_sentence():
    with pytest.raises(
        ValueError, match=r"no exercise 'feature_mean'. Did you mean 'feature_means"
    ):
        mine("feature_mean")
    with pytest.raises(
        ValueError, match=r"no exercise None\. The check below an exercise has its name"
    ):
        mine(None)


def test_a_function_in_place_of_its_name_is_named():
    def feature_means(x): ...

    with pytest.raises(ValueError, match="Did you mean 'feature_means'"):
        hint(feature_means)


def test_a_question_has_no_function():
    name = next(e.name for e in all_exercises().values() if isinstance(e, Question))
    with pytest.raises(ValueError, match=f"'{name}' is a question; mine is for exercises that ask"):
        mine(name)


def test_under_a_grader_nothing_is_noted(line, monkeypatch):
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    check("feature_means", right)
    assert not line()[0].yours


# Steps


def test_fewer_steps_are_made_where_one_takes_long_and_that_is_told(line, capsys):
    def slow(x):
        time.sleep(0.02)
        return x.mean(axis=0)

    check("feature_means", slow)
    found = line()[0]
    assert found.steps_that_fit(200, X, within=0.1) in (1, 2, 3, 4)
    said = capsys.readouterr().out
    assert said.startswith("One call of your feature_means takes 0.02")
    assert said.endswith(" of 200 steps.\n")
    assert found.steps_that_fit(200, X, within=0.001) == 1


def test_all_steps_are_made_where_they_fit_and_nothing_is_said(line, capsys, monkeypatch):
    found = line()[0]
    assert found.steps_that_fit(200, X) == 200
    monkeypatch.setattr(time, "perf_counter", lambda: 0.0)  # a coarse clock
    assert found.steps_that_fit(200, X) == 200
    assert capsys.readouterr().out == ""


# What progress shows of it


def test_progress_names_what_is_in_the_library(file):
    assert "my_batchnorm" not in str(progress())
    assert "" not in str(progress()).splitlines()
    file.write_text(MEANS)
    *_, kept, following = str(progress()).splitlines()
    assert kept == f"{file} holds 1 function: feature_means."
    assert following.startswith("Next: ")
    file.write_text(MEANS + "def standardize(x): ...\nraise ValueError\n")
    assert f"{file} holds 2 functions: feature_means, standardize." in str(progress())


def test_progress_says_what_is_wrong_with_the_library(file):
    file.write_text("def f(:\n")
    assert f"{file}: line 1 of the file has a syntax error (" in str(progress())
    file.write_text("x = 3\n")
    assert "my_batchnorm" not in str(progress())


def test_progress_escapes_what_it_shows(tmp_path, monkeypatch):
    file = tmp_path / "<b>.py"
    file.write_text(MEANS)
    monkeypatch.setenv("BNLAB_LIBRARY", str(file))
    assert "&lt;b&gt;.py holds 1 function: feature_means.</p><p>Next: " in progress()._repr_html_()


def test_the_command_shows_the_library_of_the_folder_below(tmp_path, monkeypatch):
    from typer.testing import CliRunner

    from bnlab.tools.cli import app

    monkeypatch.delenv("BNLAB_LIBRARY")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bnlab-course").mkdir()
    (tmp_path / "bnlab-course" / "my_batchnorm.py").write_text(MEANS)
    out = CliRunner().invoke(app, ["progress"]).output
    assert "\nbnlab-course/my_batchnorm.py holds 1 function: feature_means.\nNext: " in out


def test_the_courses_function_counts_for_nobody():
    check("feature_means", mine("feature_means"))
    assert "0 of" in str(progress()).splitlines()[0]
