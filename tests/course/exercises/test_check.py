"""`check` against functions that do anything: one helpful sentence each, never a traceback."""

import inspect
import itertools
import json
import re
import sys

import numpy as np
import pytest

from bnlab.course import CheckFailed, check, hint, mine, progress, solution
from bnlab.course.exercises.progress import ORDER, home
from bnlab.course.exercises.registry import all_exercises, find
from bnlab.data import course_files

NAME = "batchnorm_forward"


def right(x, gamma, beta, eps):
    return gamma * (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + eps) + beta


# Right answers in every style.


def with_cache(x, gamma, beta, eps):
    return right(x, gamma, beta, eps), {"mean": x.mean(axis=0)}


def with_loops(x, gamma, beta, eps):
    y = np.empty_like(x)
    for c in range(x.shape[1]):
        mean = sum(x[:, c]) / len(x)
        var = sum((v - mean) ** 2 for v in x[:, c]) / len(x)
        for n in range(len(x)):
            y[n, c] = gamma[c] * (x[n, c] - mean) / (var + eps) ** 0.5 + beta[c]
    return y


def with_einsum(x, gamma, beta, eps):
    centred = x - np.einsum("nc->c", x) / len(x)
    var = np.einsum("nc,nc->c", centred, centred) / len(x)
    return np.einsum("c,nc->nc", gamma / np.sqrt(var + eps), centred) + beta


def in_place_on_a_copy(x, gamma, beta, eps):
    y = x.copy()
    y -= y.mean(axis=0)
    y /= np.sqrt(np.square(y).mean(axis=0) + eps)
    y *= gamma
    y += beta
    return y


def in_float32(x, gamma, beta, eps):
    x, gamma, beta = (a.astype(np.float32) for a in (x, gamma, beta))
    return right(x, gamma, beta, np.float32(eps))


def one_affine_map(x, gamma, beta, eps):
    a = gamma / np.sqrt(x.var(axis=0) + eps)
    return x * a + (beta - x.mean(axis=0) * a)


def that_prints(x, gamma, beta, eps):
    print("mean", x.mean())
    print("oops", file=sys.stderr)
    return right(x, gamma, beta, eps)


class Callable:
    def __call__(self, x, gamma, beta, eps):
        return right(x, gamma, beta, eps)


STYLES = [right, with_cache, with_loops, with_einsum, in_place_on_a_copy, in_float32,
          one_affine_map, that_prints, Callable(), lambda *a: right(*a)]  # fmt: skip


@pytest.mark.parametrize("answer", STYLES, ids=lambda f: getattr(f, "__name__", "object"))
def test_a_right_answer_passes_whatever_its_style(answer, capsys):
    report = check(NAME, answer)
    assert report.outcome == "correct", report
    assert report.mistake is None
    assert "warning" not in report.message
    assert capsys.readouterr() == ("", "")


def one_pass(x, gamma, beta, eps):
    var = (x * x).mean(axis=0) - x.mean(axis=0) ** 2
    return gamma * (x - x.mean(axis=0)) / np.sqrt(var + eps) + beta


def one_pass_in_float32(x, gamma, beta, eps):
    x, gamma, beta = (a.astype(np.float32) for a in (x, gamma, beta))
    return one_pass(x, gamma, beta, np.float32(eps))


def test_a_one_pass_variance_is_right_with_a_warning_while_it_holds():
    report = check(NAME, one_pass)
    assert report.outcome == "correct"
    assert "warning" in report.message
    assert "subtract the mean first" in report.message


def test_a_one_pass_variance_is_wrong_where_it_has_lost_its_digits():
    report = check(NAME, one_pass_in_float32)
    assert (report.outcome, report.mistake) == ("incorrect", "lost_digits")
    assert "subtract the mean first" in report.message


# Wrong answers of every kind: outcome, mistake and a piece of the sentence.


def changes_x(x, gamma, beta, eps):
    x -= x.mean(axis=0)
    return gamma * x / np.sqrt((x**2).mean(axis=0) + eps) + beta


def changes_gamma(x, gamma, beta, eps):
    y = right(x, gamma, beta, eps)
    gamma[:] = 1
    return y


def calls_itself(x, gamma, beta, eps):
    return calls_itself(x, gamma, beta, eps)


_seen = []


def remembers(x, gamma, beta, eps):
    _seen.append(0)
    return right(x, gamma, beta, eps) + (len(_seen) % 2)


_random = np.random.default_rng(0)


def is_random(x, gamma, beta, eps):
    return _random.normal(size=x.shape)


def as_torch(x, gamma, beta, eps):
    torch = pytest.importorskip("torch")
    return torch.tensor(right(x, gamma, beta, eps))


def broadcasts_wrongly(x, gamma, beta, eps):
    return x + np.ones(7)


def mean_of_rows(x, gamma, beta, eps):
    return x - x.mean(axis=1)


def forgets_return(x, gamma, beta, eps):
    y = right(x, gamma, beta, eps)  # noqa: F841


def interrupted(x, gamma, beta, eps):
    raise KeyboardInterrupt


def nan_somewhere(x, gamma, beta, eps):
    y = right(x, gamma, beta, eps)
    y[0, 0] = np.nan
    return y


class Hostile:
    def __array__(self, *args, **kwargs):
        raise OSError("no")


BAD = {
    "changes x": (changes_x, "incorrect", "changes_inputs", "changes its argument x"),
    "changes gamma": (changes_gamma, "incorrect", "changes_inputs", "argument gamma"),
    "recursion": (calls_itself, "error", "endless_recursion", "calls itself"),
    "state": (remembers, "incorrect", "keeps_state", "two different answers"),
    "random": (is_random, "incorrect", "keeps_state", "random"),
    "torch": (as_torch, "incorrect", "wrong_type", "torch tensor"),
    "raises": (broadcasts_wrongly, "error", None, "return x + np.ones(7)"),
    "raises as a slip": (mean_of_rows, "error", "mean_of_each_image", "average over axis=0"),
    "no return": (forgets_return, "incorrect", "returns_nothing", "forget `return`"),
    "interrupt": (interrupted, "error", "interrupted", "never ends"),
    "exit": (lambda *a: sys.exit(1), "error", "exits", "sys.exit"),
    "list": (lambda *a: right(*a).tolist(), "incorrect", "wrong_type", "is a list"),
    "text": (lambda *a: "y", "incorrect", "wrong_type", "is a str"),
    "complex": (lambda *a: right(*a) + 0j, "incorrect", "wrong_type", "real numbers"),
    "hostile": (lambda *a: Hostile(), "incorrect", "wrong_type", "real numbers"),
    "empty tuple": (lambda *a: (), "incorrect", "wrong_type", "tuple"),
    "shape": (lambda *a: right(*a)[:-1], "incorrect", "wrong_shape", "should have shape (8, 5)"),
    "flat": (lambda *a: right(*a)[None], "incorrect", "wrong_shape", "drop the extra axis"),
    "number": (lambda *a: 1.0, "incorrect", "wrong_shape", "yours has ()."),
    "nan": (nan_somewhere, "incorrect", None, "NaN or inf"),
    "off": (lambda *a: 1.1 * right(*a), "incorrect", None, "8 of 8 cases"),
    "arguments": (lambda x: x, "error", "wrong_arguments", "(x, gamma, beta, eps)"),
    "a result": (np.zeros(3), "error", None, "Pass the function itself"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_answer_gets_its_sentence(case):
    answer, outcome, mistake, piece = BAD[case]
    report = check(NAME, answer)
    assert (report.outcome, report.mistake) == (outcome, mistake), report
    assert piece in report.message


# Not attempted.


def stub(x, gamma, beta, eps):
    """To be written."""
    ...


def stub_pass(x, gamma, beta, eps):
    pass


def stub_raises(x, gamma, beta, eps):
    """To be written."""
    raise NotImplementedError("soon")


@pytest.mark.parametrize("answer", [stub, stub_pass, stub_raises, None, ...])
def test_a_stub_is_not_attempted(answer):
    assert check(NAME, answer).outcome == "not attempted"


def test_two_mistakes_are_both_named():
    report = check("identity_parameters", lambda x, eps: (x.std(axis=0), -x.mean(axis=0)))
    assert report.mistake == "eps_forgotten"
    assert "sqrt(Var + eps)" in report.message
    assert "wrong sign" in report.message


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        (lambda x, eps: (np.ones(x.shape[1]), -x.mean(axis=0)), ("gamma_of_one", "minus_the_mean")),
        (lambda x, eps: (x.std(axis=0), 0 * x[0]), ("eps_forgotten", "beta_of_zero")),
        (lambda x, eps: (-np.sqrt(x.var(axis=0) + eps), x.sum(axis=0)), ("negative_gamma", None)),
        (lambda x, eps: (x.mean(axis=0), 0 * x[0]), ("mean_for_gamma", "beta_of_zero")),
    ],
)
def test_of_two_mistakes_each_gets_the_sentence_that_is_true_of_it(answer, named):
    """No sentence speaks of an output that it does not explain."""
    known = {m.name: m.sentence for m in find("identity_parameters").mistakes}
    report = check("identity_parameters", answer)
    assert report.mistakes == tuple(filter(None, named))
    unexplained = "beta is wrong too, for another reason."
    assert report.message == " ".join(known.get(name, unexplained) for name in named)


def test_the_mistake_that_explains_most_is_named():
    """A wrong sign in dvar that dx inherits is not a wrong sign in dx."""

    def answer(dy, x, gamma, beta, eps):
        mistakes = {m.name: m.answer for m in find("batchnorm_backward_staged").mistakes}
        wrong = mistakes["dvar_sign"](dy, x, gamma, beta, eps)
        return wrong | {"dgamma": wrong["dgamma"] / len(x)}

    known = {m.name: m.sentence for m in find("batchnorm_backward_staged").mistakes}
    report = check("batchnorm_backward_staged", answer)
    assert report.message == f"{known['dvar_sign']} {known['dgamma_averaged']}"


def test_too_few_values():
    report = check("identity_parameters", lambda x, eps: x.std(axis=0))
    assert (report.outcome, report.mistake) == ("incorrect", "too_few_values")
    assert "2 values, gamma, beta" in report.message


@pytest.mark.parametrize("name", ["batchnorm_forwards", "nonsense", None, 3])
def test_an_unknown_name_is_a_report_too(name):
    report = check(name, right)
    assert report.outcome == "error"
    assert "no exercise" in report.message


def test_reports_read_well_in_both_places():
    report = check(NAME, right)
    agree = "8 of 8 cases agree. It is kept in my_batchnorm.py."
    assert str(report) == f"✓ batchnorm_forward: correct. {agree}"
    assert f"✓ batchnorm_forward: correct.</b> {agree}</div>" in report._repr_html_()


def test_what_a_learner_wrote_is_escaped():
    def answer(x, gamma, beta, eps):
        raise ValueError("<b>")

    assert "&lt;b&gt;" in check(NAME, answer)._repr_html_()


def test_a_report_is_the_same_every_time():
    assert check(NAME, BAD["off"][0]) == check(NAME, BAD["off"][0])


# Grading.


@pytest.mark.parametrize("answer", [stub, changes_x, BAD["off"][0], calls_itself])
def test_under_a_grader_anything_but_correct_raises(answer, monkeypatch):
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    with pytest.raises(CheckFailed, match=NAME):
        check(NAME, answer)
    assert check(NAME, right).outcome == "correct"


# Hints, solutions, progress.


def test_hints_go_one_step_further_and_stay_at_the_last():
    count = len(all_exercises()["identity_parameters"].hints)
    seen = [str(hint("identity_parameters")) for _ in range(count + 2)]
    assert seen[0].startswith("Hint 1")
    assert seen[-1] == seen[-2] == str(hint("identity_parameters", count))


@pytest.mark.parametrize("ask", [hint, solution])
def test_help_for_an_unknown_exercise_names_the_nearest(ask):
    with pytest.raises(ValueError, match="Did you mean 'batchnorm_forward'"):
        ask("batchnorm_forwrd")


def test_progress_counts_what_is_correct_and_forgets_nothing(tmp_path):
    total = sum(e.notebook == "02" for e in all_exercises().values())
    check(NAME, changes_x)
    assert _row("02")[1:3] == (0, total)
    check(NAME, right)
    check(NAME, changes_x)  # a later failure does not undo a success
    assert _row("02")[1:3] == (1, total)
    assert json.loads((tmp_path / "home" / "progress.json").read_text()) == {NAME: "correct"}
    assert "minutes left" in str(progress())
    assert "<table>" in progress()._repr_html_()


def _row(notebook):
    return next(row for row in progress().rows if row[0] == notebook)


@pytest.mark.parametrize("damaged", ['{"batchnorm_forw', "[]", "[" * 100_000],
                         ids=["cut", "no names", "deep"])  # fmt: skip
def test_a_damaged_progress_file_is_kept_aside(tmp_path, damaged):
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "progress.json").write_text(damaged)
    check(NAME, right)
    assert (folder / "progress.damaged-1").read_text() == damaged
    assert json.loads((folder / "progress.json").read_text()) == {NAME: "correct"}


def test_a_place_that_cannot_be_written_is_no_error(tmp_path, monkeypatch):
    blocker = tmp_path / "file"
    blocker.write_text("")
    monkeypatch.setenv("BNLAB_HOME", str(blocker))
    assert check(NAME, right).outcome == "correct"
    assert str(progress())


def solved(name):
    return find(name).reference


# What a report says of a shape, a value that is missing, and an argument that was put back.


def stops_at_the_first_row(x):
    for column in x.T:
        return column.mean()


@pytest.mark.parametrize(
    ("name", "answer", "said"),
    [
        ("feature_means", lambda x: x.mean(axis=1), r"Does `mean` run over the other axis\?"),
        ("feature_means", lambda x: x, "Its mean over axis 0 would be right"),
        ("feature_means", lambda x: x / len(x), "Its sum over axis 0 would be right"),
        ("feature_means", lambda x: x[0].mean(), "`mean` is called without axis=, so"),
        ("feature_means", stops_at_the_first_row, "A `return` inside a loop ends it"),
        ("feature_means", lambda x: x[0, 0], r"means should have shape \(3,\), yours has \(\)\.$"),
        ("identity_parameters", lambda x, eps: (None, x.mean(axis=0)), "gamma is None; an array"),
        (
            "fold_linear",
            lambda *a: solved("fold_linear")(*a)[::-1],
            "order is not: return weight, bias",
        ),
        (
            "batchnorm_backward",
            lambda *a: solved("batchnorm_backward")(*a)[::-1],
            "order is not: return dx, dgamma, dbeta",
        ),
        ("predicted_noise", lambda m, n: 1 / (m - m).item(), r"In the case '32 of 1145'\.\)"),
    ],
)
def test_a_sentence_says_what_is_missing(name, answer, said):
    assert re.search(said, check(name, answer).message)


def test_an_argument_that_is_put_back_but_for_rounding_gets_a_sentence_of_its_own():
    def answer(x, gamma, beta, eps):
        x += 0.1
        x -= 0.1
        return right(x, gamma, beta, eps)

    report = check(NAME, answer)
    assert report.mistake == "changes_inputs"
    assert "puts x back with changed last digits" in report.message


def test_a_part_of_np_empty_is_one_reason_for_two_different_answers():
    draws = iter(range(100))
    report = check(NAME, lambda x, gamma, beta, eps: right(x, gamma, beta, eps) + next(draws))
    assert report.mistake == "keeps_state"
    assert "np.empty" in report.message


def done_in(*notebooks):
    outcomes = {e.name: "correct" for e in all_exercises().values() if e.notebook in notebooks}
    home().mkdir(parents=True, exist_ok=True)
    (home() / "progress.json").write_text(json.dumps(outcomes))


@pytest.mark.parametrize(
    ("done", "following"),
    [((), "00"), (("00",), "02"), (("00", "01", "02", "03"), "04"), (ORDER[:-1], "01")],
)
def test_progress_goes_the_way_of_the_notebooks_and_links_the_next(done, following):
    done_in(*done)
    said = progress()
    assert str(said).endswith(f"Next: {said.upcoming}, in notebook {following}.")
    (file,) = (course_files() / "notebooks").glob(f"{following}_*.ipynb")
    assert f'<a href="{file.name}">notebook {following}</a>.' in said._repr_html_()


def test_when_all_is_done_progress_says_so():
    done_in(*ORDER)
    assert str(progress()).endswith("Everything is done.")
    assert "<p>Everything is done.</p>" in progress()._repr_html_()


def test_each_notebook_ends_with_a_link_to_the_one_that_progress_names():
    for number, following in itertools.pairwise(ORDER):
        here, there = (
            (course_files() / "notebooks").glob(f"{n}_*.ipynb") for n in (number, following)
        )
        cells = json.loads(next(here).read_text(encoding="utf-8"))["cells"]
        if following != "01":
            link = f"Next: [notebook {following}]({next(there).name})"
            assert link in "".join("".join(cell["source"]) for cell in cells), number


# How it is called


@pytest.mark.parametrize(
    ("arguments", "name", "says"),
    [
        ((), "check", r'check\("feature_means", feature_means\); nothing came first'),
        ((right,), "check", r"in quotes, and your answer, for example .* a function came first"),
        (("standardize",), "standardize", r"missing: check\('standardize', standardize\)"),
        (("standardise", right), "standardise", r"no exercise of this name. Did you mean 'standar"),
        ((3, right), "3", r"no exercise of this name. The check below an exercise has"),
    ],
    ids=["nothing", "function first", "no answer", "mistyped", "number"],
)
def test_a_call_that_lacks_something_gets_a_sentence(arguments, name, says):
    report = check(*arguments)
    assert (report.name, report.outcome) == (name, "error")
    assert re.search(says, report.message)
    assert progress().rows[0][1] == 0


def test_the_name_of_a_function_that_came_first_is_used():
    def standardize(x, eps): ...

    assert 'check("standardize", standardize)' in check(standardize).message


@pytest.mark.parametrize(
    ("function", "shown"),
    [(check, "(name, answer)"), (hint, "(name, n=None)"), (solution, "(name)"), (mine, "(name)")],
)
def test_jupyter_shows_the_arguments_and_no_default_for_the_name(function, shown):
    assert str(inspect.signature(function)) == shown


@pytest.mark.parametrize("function", [hint, solution, mine])
def test_help_without_a_name_asks_for_one(function):
    with pytest.raises(
        ValueError, match=r"Which exercise\? Its name goes in quotes.* progress\(\)"
    ):
        function()
    with pytest.raises(ValueError, match=r"no exercise 'standardise'. Did you mean 'standardize'"):
        function("standardise")


@pytest.mark.parametrize(("value", "kind"), [(3, "an int"), ([], "a list"), (2.5, "a float")])
def test_what_came_has_its_article(value, kind):
    assert f"; {kind} came." in check("standardize", value).message


# After a cell that Python could not read


@pytest.fixture
def shell():
    interactive = pytest.importorskip("IPython.core.interactiveshell").InteractiveShell
    yield interactive.instance()
    interactive.clear_instance()


OLDER = r"one has a SyntaxError in line 2 \(.*\), so this is about the version before it"


def test_a_check_after_a_cell_that_is_no_python_says_that_the_version_is_older(shell, capsys):
    shell.run_cell(f"def {NAME}(x, gamma, beta, eps):\n    return (x - x.mean(axis=0) / 2")
    assert re.search(OLDER, capsys.readouterr().out) is None
    report = check(NAME, right)
    assert report.outcome == "correct"
    assert re.match(f"The cell that you ran before this {OLDER}. 8 of 8", report.message)
    check(NAME, lambda x, gamma, beta, eps: x)
    assert "version before it" not in mine(NAME).message  # said when it was true


@pytest.mark.parametrize(
    "cell",
    [
        f"{NAME}_staged = (1",  # another name
        f"def {NAME}(x, gamma, beta, eps): return x\n{NAME}()",  # read, run, and then an error
        f"def {NAME}(x, gamma, beta, eps): return x",
    ],
)
def test_it_does_not_where_the_cell_was_read_or_has_another_name(shell, cell):
    shell.run_cell(cell)
    assert "version before it" not in check(NAME, right).message


def test_a_question_whose_cell_is_no_python_is_told_so_too(shell):
    shell.run_cell("detached_bias = 'zero")
    assert "so this is about the version before it" in check("detached_bias", 1.0).message
