"""Tolerances of stored numbers: what may differ, what may not, and that nbval does as we say."""

import re

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from nbval_within import Tolerant, tolerant
from room import ROOM, copy_files, run_notebooks

# (what is in order or wrong, stored, new, within); nan and integers are words.
SAME = [
    ("within a share", "loss 2.00", "loss 2.03", "2%"),
    ("at the upper edge of a share", "1.00", "1.02", "2%"),
    ("at the lower edge of a share", "1.00", "0.98", "2%"),
    ("within a share of its own", "1.005", "1.000", "0.5%"),
    ("at the edge of a distance", "0.30 and 3.10", "0.32 and 3.12", 0.02),
    ("a distance may be whole", "71.6", "72.6", 1),
    ("fewer digits", "grad 1e-05 at 60", "grad 9.8e-06 at 60", "2%"),
    ("an exponent or none", "1.0E-2", "0.01", "2%"),
    ("another sign", "mean -0.001,", "mean  0.002,", 0.01),
    ("a written plus", "+0.001", "-0.001", 0.01),
    ("minus zero", "-0.0", "0.0", "2%"),
    ("a column", "a   9.98  60\nb  10.02  60", "a  10.02  60\nb   9.98  60", "2%"),
    ("a list of NumPy", "[ 9.98 -0.5 ]", "[10.02 -0.5 ]", "2%"),
    ("a percentage", "95.9% of 60", "95.8% of 60", "2%"),
    ("a range", "0.1-0.2", "0.1-0.201", "2%"),
    ("no zero in front", ".500", ".501", "2%"),
    ("the end of a sentence", "It is 1.50.", "It is 1.51.", "2%"),
    ("in brackets and beside signs", "(1.50)=x:1.50/2", "(1.51)=x:1.51/2", "2%"),
    ("nan is nan", "nan 1.00 inf", "nan 1.01 inf", "2%"),
]
DIFFERENT = [
    ("another word", "loss 2.00", "lose 2.00", "2%"),
    ("beyond a share", "1.00", "1.021", "2%"),
    ("a share is of the stored number", "1.02", "0.999", "2%"),
    ("a share of a negative number", "-1.00", "-1.03", "2%"),
    ("a share of nothing", "0.00", "0.01", "99%"),
    ("beyond a distance", "0.10", "0.1201", 0.02),
    ("the second number", "1.00 1.00", "1.00 1.10", "2%"),
    ("another sign, too far", "0.50", "-0.50", "99%"),
    ("another integer", "loss 2.00 at 60", "loss 2.00 at 61", "99%"),
    ("an integer with a point of NumPy", "[100. 200.]", "[101. 200.]", "99%"),
    ("an integer that ends a sentence", "2.0 in 100.", "2.0 in 101.", "99%"),
    ("a number turned integer", "1.98", "2", "99%"),
    ("an integer turned number", "2", "2.0", "99%"),
    ("nan for a number", "1.00", "nan", "99%"),
    ("a number for nan", "nan", "1.00", 100),
    ("infinity for a number", "1.00", "inf", 100),
    ("a missing number", "1.00 2.00", "1.00", "99%"),
    ("an additional number", "1.00", "1.00 1.00", "99%"),
    ("a number turned into text", "at 1.00", "at most", "99%"),
    ("inside a word", "x1.50", "x1.51", "2%"),
    ("with a letter behind", "1.50y", "1.51y", "2%"),
    ("with a Greek letter behind", "1.50σ", "1.51σ", "2%"),
    ("a version", "NumPy 2.4.6", "NumPy 2.4.7", "99%"),
    ("a version in its middle", "NumPy 2.40.6", "NumPy 2.41.6", "99%"),
    ("an id", "P1 holds", "P2 holds", "99%"),
    ("spaces between words", "a b 1.00", "a  b 1.00", "2%"),
    ("spaces behind a number", "1.00 \n", "1.00\n", "2%"),
    ("a line break for a space", "a 1.00", "a\n1.00", "2%"),
    ("without a tolerance", "1.00", "1.01", None),
    ("spaces without a tolerance", " 1.00", "  1.00", None),
]
CASES = [(*case, True) for case in SAME] + [(*case, False) for case in DIFFERENT]


def marks(within):
    return {} if within is None else {"bnlab": {"within": within}}


@pytest.mark.parametrize(
    ("stored", "new", "within", "same"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_text_is_compared_as_its_cell_allows(stored, new, within, same):
    stored = tolerant(stored, marks(within))
    assert (stored == new, stored != new) == (same, not same)
    assert (stored == tolerant(new, marks(within))) == same


def test_what_is_no_text_stays_as_it_is():
    assert tolerant({"a": 1.0}, marks("2%")) == {"a": 1.0}
    assert type(tolerant("1.00", {"bnlab": {"section": "core"}})) is str


def test_no_hash_belongs_to_an_equality_of_this_kind():
    with pytest.raises(TypeError, match="unhashable"):
        hash(Tolerant("1.00", "2%"))


WRONG = ["2", "-1%", "0%", "100%", "2 %", "2%%", "%", "a%", "", 0, -0.02, True, float("nan"),
         float("inf"), None, [0.02]]  # fmt: skip


@pytest.mark.parametrize("within", WRONG, ids=repr)
def test_another_tolerance_gets_a_sentence(within):
    sentence = f'"within" of a cell is .* above 0; got {re.escape(repr(within))}: correct it in'
    with pytest.raises(ValueError, match=sentence):
        tolerant("1.00", {"bnlab": {"within": within}})


# With nbval


def stored_cell(source, *outputs, within=None):
    return new_code_cell(source, outputs=list(outputs), execution_count=1, metadata=marks(within))


def printed(text):
    return new_output("stream", name="stdout", text=text)


PIECES = """
import sys
for text in ("loss 1", ".00 a", "\\n"):
    print(text, end="")
    sys.stdout.flush()
"""


def in_pieces(stored):
    """A stream that comes in three pieces, and is stored in two."""
    return stored_cell(PIECES, printed(stored[:8]), printed(stored[8:]), within="2%")


def as_result(stored):
    return stored_cell("1.01", new_output("execute_result", {"text/plain": stored}), within="2%")


def displayed(kind, stored, new):
    """An output that is not plain text."""
    source = f"from IPython.display import display\ndisplay({{{kind!r}: {new!r}}}, raw=True)"
    return stored_cell(source, new_output("display_data", {kind: stored}), within=0.1)


KINDS = [
    (in_pieces("loss 1.01 a\n"), True),
    (in_pieces("loss 1.01 b\n"), False),
    (as_result("1.0"), True),
    (as_result("1.1"), False),
    (displayed("text/html", "<td>1.00</td><td>60</td>", "<td>1.01</td><td>60</td>"), True),
    (displayed("text/html", "<td>1.00</td><td>60</td>", "<td>1.01</td><td>61</td>"), False),
    (displayed("text/markdown", "**1.0**", "**1.1**"), True),
    (displayed("text/markdown", "**1.0**", "**1.2**"), False),
]


def run(folder, *cells):
    copy_files(folder, *ROOM)
    nbformat.write(new_notebook(cells=list(cells)), folder / "made.ipynb")
    return run_notebooks(folder, ["made.ipynb"], "-rA", "--color=no")


def test_nbval_compares_so_and_its_report_shows_both_texts(tmp_path):
    texts = [stored_cell(f"print({new!r}, end='')", printed(stored), within=within)
             for _, stored, new, within, _ in CASES]  # fmt: skip
    report = run(tmp_path, *texts, *(cell for cell, _ in KINDS)).stdout
    found = re.findall(r"^(PASSED|FAILED) made\.ipynb::Cell (\d+)", report, re.M)
    verdicts = {int(number): verdict == "PASSED" for verdict, number in found}
    assert verdicts == dict(enumerate([same for *_, same in CASES + KINDS]))
    for why in (
        r"0\.1201 is not within 0\.02 of 0\.10\n +stored:\n +0\.10\n +new:\n +0\.1201\n",
        r"words or integers differ.*\n +stored:\n +loss 2\.00\n +new:\n +lose 2\.00\n",
    ):
        assert re.search(why, report), report


def test_nbval_stops_at_a_wrong_tolerance(tmp_path):
    done = run(tmp_path, stored_cell("1", within="2"))
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert re.search(r'made\.ipynb::Cell 0: "within" of a cell is .* got \'2\': cor', done.stderr)
