"""Each rule of the lessons finds what offends it, and lets pass what does not."""

import copy
import re

import pytest
from lesson_rules import RULES, imports, lines_of_code, used, words
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

TITLE = "# Find the mean\n\n**Time**: 20 minutes of reading, 15 minutes of exercises."
LESSON = "from bnlab.course.lessons.nb05 import folding"
PLOT = "import matplotlib.pyplot as plt\nplt.plot([1])"
CLASS = "class Norm:\n" + "\n".join(["    x = 1"] * 31)


def text(source, **marks):
    return new_markdown_cell(source, metadata={"bnlab": marks})


def run(source, *outputs, **marks):
    return new_code_cell(source, outputs=list(outputs), metadata={"bnlab": marks})


def printed(line):
    return new_output("stream", name="stdout", text=line)


def result(**forms):
    return new_output("execute_result", {f"text/{kind}": form for kind, form in forms.items()})


def drawn():
    return new_output("display_data", {"image/png": "QUJD", "text/plain": "<Figure>"})


def section(kind="core", title=None):
    title = title or {"core": "Do it", "more": "More: do it"}[kind]
    return text(f"## {title}", section=kind, minutes=5)


def questions(count):
    stubs = [run(f"ask_{n} = ...", exercise=f"ask_{n}", recall=True) for n in range(count)]
    checks = [run(f'check("ask_{n}", ask_{n})', check=f"ask_{n}") for n in range(count)]
    return [cell for pair in zip(stubs, checks, strict=True) for cell in pair]


OPENING = [text(TITLE), run("from bnlab.course import check")]
START = [*OPENING, *questions(3), section()]
END = [text(f"## The {kind}", ending=kind) for kind in ("summary", "reading", "record")]
CARD, READING, RECORD = END
TABLE = run('from bnlab.course import record\nfrom bnlab.course.experiments import ledger\n'
            'record("02")', printed("A1 RIGHT True True True True"))  # fmt: skip


def lesson(*cells, start=START, end=END, last=TABLE):
    """A lesson in order, but for these cells, which stand at the end of its only core section."""
    cells = [copy.deepcopy(cell) for cell in (*start, *cells, *end, last)]
    for n, cell in enumerate(cells):
        cell.id = f"cell-{n}"  # the same cell may be there twice
    return new_notebook(cells=cells)


WORDS = 1000 - sum(len(words(cell)) for cell in START)  # that a core may still have
LINES = 100 - sum(lines_of_code(cell.source) for cell in START if cell.cell_type == "code")


def lines(count):
    """Cells with so many lines of code."""
    sizes = [10] * (count // 10) + [count % 10]
    return [run("\n".join(["a = b + c"] * size)) for size in sizes]


VETTED = """
import math, bnlab, numpy as np, matplotlib.pyplot as plt, torch
from bnlab import data, functional as F, layers, plots
from bnlab.conform import conform
from bnlab.course import check, explore, hint, mine, progress, solution
from bnlab.diagnose import diagnose
from bnlab.optim import SGD
from bnlab.tools.doctor import available
from bnlab.training import fit
y, cache = bnlab.batchnorm_forward(np.linalg.norm(x), mine("a")(x))
def loss(x):
    return F.cross_entropy_forward(x, data.load_digits().y)[0]
available("torch", "it"), check, hint, solution, progress, conform, diagnose, explore.circles()
loss(y).mean(), torch.nn.Linear(1, 1), math.sqrt(2), cache, bnlab.__version__
fit(layers.mlp(), SGD), plots.curves(), plt.plot()
"""

GOOD = {
    "nothing more": lesson(),
    "1,000 words": lesson(text("word " * WORDS)),
    "signs are no words": lesson(text("word " * WORDS + "| - = | ##")),
    "words in more": lesson(section("more"), text("word " * 2000)),
    "code is no words": lesson(text("word " * WORDS), *lines(LINES)),
    "five sections": lesson(*[section()] * 4, *[section("more")] * 9),
    "blanks and comments": lesson(*lines(LINES), *[run("\n# a\n" * 5)] * 9),
    "lines in more": lesson(section("more"), *lines(200)),
    "20 lines in a cell": lesson(run("x\n" * 20)),
    "the vetted core": lesson(run(VETTED)),
    "other packages in more": lesson(section("more"), run("import sympy\nsympy.Symbol('a')")),
    "imported in the core": lesson(run("import sympy"), section("more"), run("sympy.Symbol('a')")),
    "three truths": lesson(run("x", printed("True False\nyes"))),
    "nearly truths": lesson(run("x", printed("Trueness, yesterday " * 9))),
    "a truth in two forms": lesson(run("x", result(plain="True True", html="<b>True True</b>"))),
    "pictures": lesson(run("x", *[new_output("display_data", {"image/svg+xml": "True"})] * 4)),
    "a weight and a colour": lesson(run("W1 = W2 = 1; color = 'C1'"), text("`W1` and $W1 W2$")),
    "a name that begins so": lesson(text("A100, S1000 and RIGHTS")),
    "hearsay": lesson(text("You may have read that. " * 3)),
    "asked in the first section": lesson(start=[*OPENING, section(), *questions(3)]),
    "a figure with words": lesson(run(PLOT, drawn()), text("It rises.")),
}
GOOD_OF = {
    ("09", "a reference is long"): lesson(*[section()] * 9, text("word " * 2000), *lines(200)),
    ("09", "its entries have names"): lesson(text("P1 and P28")),
    ("09", "it shows mistakes"): lesson(run("from bnlab.course.lessons.nb09 import capstone")),
    ("05", "the class of 05"): lesson(run(CLASS)),
    ("08", "stored runs"): lesson(run("from bnlab.course import claim\nclaim('W1').card()")),
    ("01", "the film"): lesson(run('from bnlab.course import claim\nclaim("S4").draw()')),
    ("08", "the court"): lesson(text("W1 is WRONG")),
    ("01", "nothing to remember yet"): lesson(start=[*OPENING, section()]),
}

# rule -> what offends it and no other rule -> (the lesson, what the sentence says)
BAD = {
    "the_first_cell_has_title_and_time": {
        "no time": (lesson(start=[text("# T"), *START[1:]]), "the first cell has .*, got '# T'"),
        "no title": (lesson(start=[text(TITLE[2:]), *START[1:]]), "got 'Find the mean"),
        "half a time": (lesson(start=[text("# T\n**Time**: 5 minutes"), *START[1:]]), "got '# T"),
    },
    "the_core_is_short": {
        "1,001 words": (lesson(text("word " * (WORDS + 1))), "at most 1,000 words.* 1,001: move"),
        "in the opening": (lesson(start=[*OPENING, text("word " * WORDS), *START[2:]],
                                  end=[section(), *END]), "1,002: move"),
        "in comments": (lesson(text("word " * WORDS), run("x = 1  # word")), "1,001: move"),
        "in docstrings": (lesson(text("word " * WORDS), run('def f():\n    """A b."""')), "1,002"),
        "six sections": (lesson(*[section()] * 5), "at most 5 sections, this one has 6: move"),
        "101 lines": (lesson(*lines(LINES + 1)), "at most 100 lines of code.* 101: move"),
        "a string is code": (lesson(*lines(LINES - 1), run('x = """a\nb"""')), "has 101: move"),
    },
    "cells_are_small": {
        "21 lines": (lesson(run("x\n" * 21)), "at most 20 lines, one has 21: cut it in two\nx"),
        "in more too": (lesson(section("more"), run("x\n" * 21)), "at most 20 lines, one has 21"),
        "a class elsewhere": (lesson(run(CLASS)), "one has 32"),
    },
    "what_is_taught_stands_in_the_cell": {
        "a lesson": (lesson(run(LESSON)), "nb05.folding is used in the record only: write"),
        "in more": (lesson(section("more"), run(LESSON)), "nb05.folding is used in the record"),
        "an experiment": (lesson(run("import bnlab.course.experiments.bench as b")), "bench is us"),
        "by its dots": (lesson(run("import bnlab\nbnlab.course.lessons.nb01.x()")), "nb01.x is us"),
        "in the ending": (lesson(end=[CARD, READING, run(LESSON), RECORD]), "folding is used"),
        "a name of the course": (lesson(run("from bnlab.course import claim\nclaim('a')")),
                                 "bnlab.course.claim is none of the names that a core uses: write"),
        "the record": (lesson(run("from bnlab.course import record\nrecord('03')")),
                       "course.record is none"),
        "another package": (lesson(run("import sympy as s\nx = s.Symbol('a')")), "sympy.Symbol is"),
        "in the opening": (lesson(start=[*OPENING, run("import sympy\nsympy.S"), *START[2:]]),
                           "sympy.S is none"),
        "handed on": (lesson(run("import bnlab\nmap(bnlab.gradcheck.check, [])")),
                      "bnlab.gradcheck.check is none"),
        "imported in more": (lesson(section("more"), run("import sympy"), section(),
                                    run("sympy.S")), "sympy.S is none"),
        "a name that begins so": (lesson(run("import numpyro\nnumpyro.run()")), "numpyro.run is n"),
    },
    "numbers_are_printed_not_booleans": {
        "four truths": (lesson(run("x", printed("True False\nyes")), run("y", printed("True"))),
                        "at most 3 truth values .* got 4: print the numbers"),
        "in a result": (lesson(run("x", result(markdown="Yes, True, True, False"))), "got 4"),
        "on the card": (lesson(end=[CARD, run("x", printed("True " * 5)), *END[1:]]), "got 5"),
    },
    "claims_and_verdicts_stand_in_the_record": {
        "a claim": (lesson(text("It is so (A1).")), "stand in the record, got 'A1' above it: say"),
        "in a comment": (lesson(run("x = 1  # as S10 says")), "'S10'"),
        "in a string": (lesson(run("print(f'{1}: P1 holds')")), "'P1'"),
        "in an output": (lesson(run("x", printed("T2: 1.0"))), "'T2'"),
        "a verdict": (lesson(text("This is **NOT REPRODUCED**.")), "'NOT REPRODUCED'"),
        "a verdict in an output": (lesson(run("x", result(html="<b>WRONG</b>"))), "'WRONG'"),
        "too small a run": (lesson(text("CANNOT TELL")), "'CANNOT TELL'"),
        "on the card": (lesson(end=[text("A1", ending="summary"), *END[1:]]), "'A1'"),
        "a stored run": (lesson(run('claim("S4")')), "'S4'"),
    },
    "hearsay_is_rare": {
        "four times": (lesson(text("You may have read a, you may have read b. " * 2)),
                       "at most 3 times in a notebook, got 4"),
    },
    "three_questions_near_the_start": {
        "none": (lesson(start=[*OPENING, section()]), '"recall": true.*; got 0 cells, 0 of them'),
        "two": (lesson(start=[*OPENING, *questions(2), section()]), "got 2 cells, 2 of them there"),
        "four": (lesson(start=[*OPENING, *questions(4), section()]), "got 4 cells, 4 of them"),
        "late": (lesson(section(), *questions(3), start=[*OPENING, section()]), "got 3 cells, 0"),
        "no stubs": (lesson(start=[*OPENING, *[text("Why?", recall=True)] * 3]), "got 3 cells"),
    },
    "the_ending_is_card_reading_record": {
        "no card": (lesson(end=END[1:]), r"the last cells with .*; got \['reading', 'record'\]"),
        "another order": (lesson(end=[READING, CARD, RECORD]), r"got \['reading', 'summary'"),
        "no record": (lesson(end=END[:2], last=text("Next: 04")), r"got \['summary', 'reading'\]"),
        "twice": (lesson(end=[CARD, *END]), r"got \['summary', 'summary'"),
        "a section between": (lesson(end=[CARD, section(), *END[1:]]), "'ending', 'core', 'end"),
        "a section behind": (lesson(last=section()), r"'ending', 'core'\]"),
        "only titles": (lesson(end=[text("## Summary card")], last=text("## The record")), r"\[\]"),
    },
    "figures_are_followed_by_words": {
        "alone": (lesson(run(PLOT, drawn()), run("x")), "below each figure says .*:\nimport mat"),
        "at the end": (lesson(last=run(PLOT, drawn())), "below each figure"),
    },
    "headings_of_more_say_so": {
        "plain": (lesson(section("more", "Do it")), "begins .More: ., got 'Do it'"),
    },
}  # fmt: skip
BAD_OF = {
    ("09", "claims_and_verdicts_stand_in_the_record"): lesson(text("P1 and W1")),
    ("09", "what_is_taught_stands_in_the_cell"): lesson(
        run("from bnlab.course.lessons.nb09 import pitfalls")
    ),
    ("02", "three_questions_near_the_start"): lesson(start=[*OPENING, section()]),
    ("05", "cells_are_small"): lesson(run(CLASS + "\n    x = 1")),
    ("05", "cells_are_small", "two"): lesson(run(CLASS), run(CLASS)),
    ("05", "cells_are_small", "no class"): lesson(run("x\n" * 32)),
    ("01", "claims_and_verdicts_stand_in_the_record"): lesson(run('claim("S4")  # S4')),
}


def offended(notebook, number="03"):
    """Name of a rule -> its sentences, for the rules that are offended."""
    found = {rule.__name__: rule(notebook, number) for rule in RULES}
    assert {type(sentences) for sentences in found.values()} == {list}
    return {name: sentences for name, sentences in found.items() if sentences}


@pytest.mark.parametrize("name", GOOD)
def test_what_is_in_order_passes_every_rule(name):
    assert offended(GOOD[name]) == {}


@pytest.mark.parametrize(("number", "name"), GOOD_OF)
def test_each_exception_is_one_for_its_notebook(number, name):
    notebook = GOOD_OF[number, name]
    assert offended(notebook, number) == {}
    assert offended(notebook) != {}


@pytest.mark.parametrize(("rule", "name"), [(rule, name) for rule in BAD for name in BAD[rule]])
def test_what_offends_gets_a_sentence_of_its_rule_and_of_no_other(rule, name):
    notebook, sentence = BAD[rule][name]
    found = offended(notebook)
    assert list(found) == [rule]
    assert re.search(sentence, found[rule][0], re.S), found


@pytest.mark.parametrize("key", BAD_OF, ids="-".join)
def test_exceptions_are_narrow(key):
    number, rule, *_ = key
    assert list(offended(BAD_OF[key], number)) == [rule]


def test_every_rule_is_tried():
    assert list(BAD) == [rule.__name__ for rule in RULES]


# Pieces


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import numpy as np\nnp.linalg.norm(x)", {"numpy.linalg.norm"}),
        ("import a.b\na.b.c()", {"a.b.c"}),
        ("import a.b as d\nd.c()", {"a.b.c"}),
        ("from a import b\nb(1)[b.c]", {"a.b", "a.b.c"}),
        ("from a import b as c\ndef f(x=c):\n    return c(x).d.e", {"a.b"}),
        ("from a import b\nx = lambda: {**b.c}", {"a.b.c"}),
        ("import a\nf'{a.b}'", {"a.b"}),
        ("import a\nx.a.b(y)", set()),
    ],
)
def test_names_are_followed_to_where_they_come_from(source, names):
    assert set(used(source, imports(source))) == names


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("x = 1", 1),
        ("\n# a\nx = 1  # b\n\n", 1),
        ("f(\n    1,\n\n    2,\n)", 4),
        ('def f():\n    """One.\n\n    Two.\n    """\n    return 1', 2),
        ('"""Top."""\nx = """a\nb"""', 2),
        ("x = 1; y = 2", 1),
    ],
)
def test_lines_of_code_are_counted(source, count):
    assert lines_of_code(source) == count
