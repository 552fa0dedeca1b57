"""What is kept of a function: text that runs without its cell, or a sentence that says why not."""

import pytest

from bnlab.course import check
from bnlab.course.exercises import library
from bnlab.course.exercises.judging import judge
from bnlab.course.exercises.registry import find
from bnlab.course.exercises.statements import as_text, statements, users

MEANS = "def feature_means(x):\n    return x.mean(axis=0)\n"
MEANS_OF_MEAN = "def feature_means(x):\n    return mean(x)\n"
HELPER = "def mean(x):\n    return x.mean(axis=0)\n"
LONG = "    x = x + 0\n" * 1000
CHECK = "report = check('feature_means', feature_means)\n"

# What a cell holds, and a piece of it that has to stand in the file beside the function.
KEPT = {
    "plain": (MEANS, ""),
    "texts": (
        'def feature_means(x: np.ndarray, axis: int = 0, *, keep=False) -> "means":\n'
        '    """Means.\n\n    # no comment\n    """\n    # a comment\n'
        "    return x.mean(axis=axis, keepdims=keep)  # the end\n",
        "    # a comment\n    return x.mean(axis=axis, keepdims=keep)  # the end\n",
    ),
    "helper": (HELPER + MEANS_OF_MEAN, HELPER),
    "helper below": (MEANS_OF_MEAN + HELPER, HELPER),
    "chain": (
        "def total(x):\n    return x.sum(axis=0)\n\ndef mean(x):\n    return total(x) / len(x)\n"
        + MEANS_OF_MEAN,
        "def total(x):",
    ),
    "constants": (
        "half = 2\nhalf /= 2\nhalf /= 2\nunused = 3\ndef feature_means(x, two=4 * half):\n"
        "    return two * half * x.mean(axis=0)\n",
        "half = 2\nhalf /= 2\nhalf /= 2\n\n\ndef",
    ),
    "class": (
        "class Means:\n    axis = 0\n\n    def of(self, x):\n        return x.mean(self.axis)\n\n"
        "def feature_means(x):\n    return Means().of(x)\n",
        "class Means:",
    ),
    "imports": (
        "import math\nimport numpy.linalg as la\nfrom numpy import add as plus, divide\n"
        "def feature_means(x):\n    la.norm(x)\n"
        "    return divide(plus.reduce(x), math.fsum([len(x)]))\n",
        "import math\nimport numpy.linalg as la\nfrom numpy import add as plus, divide\n",
    ),
    "numpy by its name": (
        "import numpy\ndef feature_means(x):\n    return numpy.mean(x, axis=0)\n",
        "import numpy\n",
    ),
    "import inside": (
        "def feature_means(x):\n    import math\n    return x.mean(math.trunc(0.5))\n",
        "",
    ),
    "lambda": ("feature_means = lambda x: x.mean(axis=0)\n", ""),
    "long lambda": ("feature_means = (\n    lambda x:\n    x.mean(axis=0)\n)\n", ""),
    "decorator": (
        "def same(f):\n    return f\n\n@same\ndef feature_means(x):\n    return x.mean(axis=0)\n",
        "@same\ndef",
    ),
    "name of a builtin": (
        "def sum(x):\n    return np.sum(x, axis=0)\n\n"
        "def feature_means(x):\n    return sum(x) / len(x)\n",
        "def sum(x):",
    ),
    "block": ("if True:\n    def mean(x): return x.mean(axis=0)\n" + MEANS_OF_MEAN, "if True:"),
    "calls itself": (
        "def feature_means(x):\n    if x.ndim == 1:\n        return x.mean()\n"
        "    return np.array([feature_means(column) for column in x.T])\n",
        "",
    ),
    "Greek": ("def feature_means(χ):\n    μ = χ.mean(axis=0)\n    return μ\n", "μ = χ.mean"),
    "long": (MEANS.replace("\n", "\n" + LONG, 1), LONG),
    "CRLF": ((HELPER + MEANS_OF_MEAN).replace("\n", "\r\n"), HELPER),
    "magics": ("%time None\n!true\nfiles = !true\n" + MEANS, ""),
    "one line for two": (
        "a = 0; b = 1\ndef feature_means(x):\n    return b * x.mean(axis=a)\n",
        "np\n\n\na = 0; b = 1\n\n\ndef",
    ),
    "two lambdas": ("same = lambda x: x\nfeature_means = lambda x: x.mean(axis=0)\n", ""),
    "wrong further up": ("def feature_means(x): return 0\nfeature_means\n" + MEANS, ""),
    "wrong further down": (MEANS + CHECK + "def feature_means(x):\n    return x\n", ""),
}


@pytest.mark.parametrize("case", KEPT)
def test_a_function_is_kept_with_what_it_needs_of_its_cell_and_nothing_else(
    case, cell, names, tmp_path
):
    source, piece = KEPT[case]
    cell(source if CHECK in source else source + CHECK)
    assert names["report"].message == "4 of 4 cases agree. It is kept in my_batchnorm.py."
    text = (tmp_path / "my_batchnorm.py").read_text(encoding="utf-8")
    assert piece in text
    assert not [word for word in ("check(", "unused", "get_ipython", "return x\n") if word in text]
    assert text.count("def feature_means") + text.count("feature_means = ") == 1
    kept = library.functions()["feature_means"]
    assert judge(find("feature_means"), kept).outcome == "correct"


def test_the_file_runs_on_its_own_and_reads_well(cell, tmp_path):
    cell("eps = 0\n" + HELPER + MEANS_OF_MEAN.replace("mean(x)", "mean(x) + eps") + CHECK)
    cell("from math import sqrt\nbn = lambda x, eps: (x - x.mean(0)) / (x.var(0) + eps) ** 0.5\n"
         "report = check('standardize', bn)")  # fmt: skip
    assert (tmp_path / "my_batchnorm.py").read_text() == (
        '"""My batch norm: what I wrote in the course, in versions that passed their check."""\n\n'
        "import numpy as np\n\n\neps = 0\n\n\ndef mean(x):\n    return x.mean(axis=0)\n\n\n"
        "def feature_means(x):\n    return mean(x) + eps\n\n\n"
        "bn = lambda x, eps: (x - x.mean(0)) / (x.var(0) + eps) ** 0.5\nstandardize = bn\n"
    )


def test_a_cell_that_captures_what_it_prints_is_read(cell, tmp_path):
    cell("%%capture\n" + MEANS + CHECK)
    assert "def feature_means" in (tmp_path / "my_batchnorm.py").read_text()


@pytest.mark.parametrize("line", ["import math", "import math as maths", "import numpy"])
def test_a_module_that_another_cell_has_imported_is_imported_in_the_file(cell, tmp_path, line):
    name = line.split()[-1]
    cell(line)
    cell(f"def feature_means(x):\n    {name}.sqrt(4)\n    return x.mean(axis=0)\n" + CHECK)
    assert line in (tmp_path / "my_batchnorm.py").read_text().splitlines()


def with_line(line):
    return MEANS.replace(":\n", f":\n    {line}\n")


# What a cell holds (and one before it), and why the function is used and not kept.
ALONE = "without the other cells it does not pass; put all that it uses into its own cell, then"
DEF = "define it with def"
PACKAGE = "write it with NumPy alone"
INSIDE = "it is made inside something else"
UNREADABLE = "its source cannot be read; define it in a cell that does not begin with %%"
NOT_KEPT = {
    "helper elsewhere": (HELPER, MEANS_OF_MEAN, "it uses mean, which its cell does not define"),
    "constant elsewhere": ("k = 0", MEANS.replace("0", "k"), "it uses k, which its cell does not"),
    "name elsewhere": (
        "from numpy import mean",
        MEANS.replace("x.mean(", "mean(x, "),
        "it uses mean, which its cell",
    ),
    "star": (
        "",
        "from numpy import *\ndef feature_means(x):\n    return mean(x, axis=0)\n",
        "it uses mean, which its cell does not define; put both in one cell, then check again.",
    ),
    "package": ("import joblib", with_line("joblib.Parallel"), f"it needs joblib; {PACKAGE}"),
    "package here": ("", "import joblib\n" + with_line("joblib.dump"), "it needs joblib; "),
    "package inside": ("", with_line("from joblib import dump"), "it needs joblib; "),
    "bnlab": ("import bnlab", with_line("bnlab.data"), f"it needs bnlab; {PACKAGE}"),
    "lambda inside": ("", "feature_means = [lambda x: x.mean(axis=0)][0]\n", INSIDE),
    "lambda in a dict": (
        "",
        "made = {}\nmade[0] = lambda x: x.mean(axis=0)\nfeature_means = made[0]\n",
        INSIDE,
    ),
    "lambda of a function": (
        "",
        "def made(): return lambda x: x.mean(axis=0)\nfeature_means = made()\n",
        INSIDE,
    ),
    "closure": (
        "",
        "def made(n):\n    def means(x):\n        return x.mean(axis=n)\n    return means\n"
        "feature_means = made(0)\n",
        INSIDE,
    ),
    "method": (
        "",
        "class A:\n    def f(self, x):\n        return x.mean(axis=0)\nfeature_means = A().f\n",
        f"it is of type method; {DEF}",
    ),
    "object": (
        "",
        "class A:\n    def __call__(self, x):\n        return x.mean(0)\nfeature_means = A()\n",
        f"it is of type A; {DEF}",
    ),
    "partial": (
        "from functools import partial",
        "feature_means = partial(np.mean, axis=0)\n",
        f"it is of type partial; {DEF}",
    ),
    "vectorize": (
        "",
        "feature_means = np.vectorize(lambda c: c.mean(), signature='(n)->()')\n"
        "feature_means = np.vectorize(lambda x: x.mean(0), signature='(n,c)->(c)')\n",
        f"it is of type vectorize; {DEF}",
    ),
    "wrapped": (
        "import functools",
        "def same(f):\n    @functools.wraps(f)\n    def g(x):\n        return f(x)\n    return g\n"
        "@same\n" + MEANS,
        "a decorator or a call",
    ),
    "exec": ("", f"exec({MEANS!r})\n", UNREADABLE),
    "time": ("", "%%time\n" + MEANS, UNREADABLE),
    "line separator": ("", MEANS + "s = 'a\u2028b'\n", UNREADABLE),  # IPython breaks the line
    "future": ("", "from __future__ import annotations\n" + MEANS.replace("x)", "x: Foo)"), ALONE),
    "changed elsewhere": (
        "",
        "table = {}\ntable[0] = 0\ndef feature_means(x):\n    return x.mean(axis=table[0])\n",
        ALONE,
    ),
}


@pytest.mark.parametrize("case", NOT_KEPT)
def test_what_cannot_stand_alone_is_right_and_used_and_the_message_says_why(
    case, cell, names, tmp_path
):
    before, source, reason = NOT_KEPT[case]
    cell(before)
    cell(source + CHECK)
    report = names["report"]
    assert report.outcome == "correct"
    assert f"It is not kept in {tmp_path / 'my_batchnorm.py'}: " in report.message
    assert reason in report.message
    assert report.message.endswith(".")
    assert not (tmp_path / "my_batchnorm.py").exists()
    cell("found = mine('feature_means')")
    assert names["found"].yours


def test_of_two_versions_of_a_helper_the_one_of_the_cell_is_kept(cell, tmp_path):
    cell(HELPER + MEANS_OF_MEAN)
    cell("def mean(x):\n    return np.mean(x, 0)")
    cell(CHECK)
    assert HELPER in (tmp_path / "my_batchnorm.py").read_text()


def test_a_function_that_is_right_only_with_a_later_helper_is_not_kept(cell, names, tmp_path):
    cell("def mean(x):\n    return x\n" + MEANS_OF_MEAN)
    cell(HELPER)
    cell(CHECK)
    assert ALONE in names["report"].message
    assert not (tmp_path / "my_batchnorm.py").exists()


def test_a_cell_that_was_edited_and_run_again_gives_its_new_text(cell, tmp_path):
    for axis in ("1", "0"):
        cell(MEANS.replace("0", axis) + CHECK)
    assert "mean(axis=1)" not in (tmp_path / "my_batchnorm.py").read_text()


@pytest.mark.parametrize("source", ["x = \x00", "[" * 1000, "-" * 100_000 + "1", "def f(:"])
def test_what_is_no_python_is_a_syntax_error(source):
    with pytest.raises(SyntaxError):
        statements(source)


def test_names_are_followed_through_functions_classes_and_defaults():
    source = """\
import a.b, c as d
e = f
e += g
class H(i):
    j = k
    def l(self): return [m for n in o if n]
@p
def q(r: s = t, *, u=v) -> w:
    x: y = 1
    return lambda z: aa + x + q(z)
"""
    assert [(sorted(s.binds), sorted(s.uses)) for s in statements(source)] == [
        (["a", "d"], []),
        (["e"], ["f"]),
        (["e"], ["g"]),
        (["H"], ["i", "k", "m", "o"]),
        (["q"], ["aa", "p", "s", "t", "v", "w", "y"]),
    ]


def test_a_text_is_that_of_its_lines_whatever_else_looks_like_a_line_end():
    assert statements('a = "\u2028\x0c"\nb = 1  # one\n')[1].text == "b = 1  # one"


def test_users_are_found_through_others():
    made = statements("a = 1\nb = a\nc = b\nd = 2")
    assert users({"a"}, made) == {"a", "b", "c"}
    assert as_text(made) == "a = 1\nb = a\nc = b\nd = 2"


def test_a_function_of_this_file_is_kept_too(tmp_path):
    assert check("feature_means", of_this_file).outcome == "correct"
    text = (tmp_path / "my_batchnorm.py").read_text()
    assert text.endswith("def of_this_file(x):\n    return x.mean(axis=0)\nfeature_means = "
                         "of_this_file\n")  # fmt: skip


def of_this_file(x):
    return x.mean(axis=0)
