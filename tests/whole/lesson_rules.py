"""What a lesson keeps that has been rewritten as a workshop: one function a rule.

A rule takes a notebook and its number ("05") and returns the offences, each a sentence with the
rule, what came and what to do. `test_notebooks.py` says to which notebooks they apply.

A notebook says what its cells are in their metadata, never by titles, under the key `bnlab`:

- `"section": "core" | "more"`, with `"minutes": 5` and perhaps `"instructor": "..."`: the cell is
  the heading of a section, which lasts until the next one. What stands above the first section is
  the opening; it counts as core.
- `"ending": "summary" | "reading" | "record"`: here the summary card, the further reading or the
  record begins. The ending is no section.
- `"exercise": NAME` and `"check": NAME`: the stub of an exercise or a question, and its check.
- `"recall": true`, on such a stub: a closed-book question about an earlier notebook.
- `"plans": [45, 90, 180]`: the workshops that have a section (inside one: from here on), or vote
  on a closed-book question; `"room": 8`: minutes in a workshop, where they are others.
- `"script": {...}`, at a question or an exercise: what an instructor does in 90 seconds;
  `"likely": [...]`: the three mistakes that we guess to be the likeliest, by name, or as the code
  that is returned where the shape is wrong.
- `"guard": true`: the first code cell, which says what to type where bnlab is missing. It teaches
  nothing and is the same everywhere, so no limit counts it, and the site leaves it out.
- `"within": "2%" | 0.02`: how far a printed number may be from the stored one
  (`tests/nbval_within.py`).
"""

import ast
import io
import re
import sys
import tokenize

import bnlab
from bnlab.course.experiments.evidence import VERDICTS
from bnlab.course.experiments.ledger import ids
from bnlab.tools.workshop.plans import mark, parts_of

WORDS, SECTIONS, LINES = 1000, 5, 100  # of a core
CELL_LINES, CLASS_LINES = 20, 32
TRUTHS, HEARSAY, QUESTIONS = 3, 3, 3
ENDING = ["summary", "reading", "record"]

REFERENCE = "09"  # is looked up, not read through: no core limits
COURT = "08"  # weighs the claims one by one
FROM_02_ON = "02"
LONG_CLASS = "05"
STORED_RUNS = {"01", "08"}  # read by `claim`, with the code of one run above them

# What a core may use. SGD comes with `training.fit`, `available` says which package is missing.
OPEN = (
    *(f"bnlab.{name}" for name in (*bnlab.__all__, "__version__")),
    *(f"bnlab.{name}" for name in ("functional", "layers", "optim", "training", "data", "plots")),
    *(f"bnlab.{name}" for name in ("conform", "diagnose", "tools.doctor.available")),
    *(f"bnlab.course.{name}" for name in ("check", "hint", "solution", "mine", "progress")),
    "bnlab.course.explore", "numpy", "matplotlib", "torch", *sys.stdlib_module_names,
)  # fmt: skip
HIDDEN = ("bnlab.course.lessons", "bnlab.course.experiments")
# The reference shows layers with a mistake, two processes and a script to mend.
SHOWN = tuple(f"bnlab.course.lessons.nb09.{n}" for n in
              ("broken_layers", "two_processes", "capstone"))  # fmt: skip

CLAIM = re.compile(rf"\b(?:{'|'.join(ids())})\b")
VERDICT = re.compile(rf"\b(?:{'|'.join(VERDICTS)})\b")
TRUTH = re.compile(r"\b(?:True|False|[Yy]es)\b")
TIME = re.compile(r"^\*\*Time\b.*\d+ minutes of reading, \d+ minutes of exercises", re.M)


# Pieces of a notebook


def core(notebook):
    """Cells of the opening and of the core sections, but for the guard."""
    parts = [part for part in parts_of(notebook) if part.kind in ("opening", "core")]
    return [cell for part in parts for cell in part.cells if not mark(cell, "guard")]


def before_record(notebook):
    """Cells above the record; all, if there is none."""
    marks = [mark(cell, "ending") for cell in notebook.cells]
    return notebook.cells[: marks.index("record") if "record" in marks else None]


def code(cells):
    return [cell for cell in cells if cell.cell_type == "code"]


def texts(output):
    """The texts of an output; its forms say the same, one of them is shown."""
    if output.output_type == "stream":
        return [output.text]
    found = [text for kind, text in output.get("data", {}).items() if kind.startswith("text/")]
    return [re.sub(r"data:image[^\"]+", "", text) for text in found]  # a picture says no words


# Pieces of code


def docstrings(source):
    """The nodes that are docstrings."""
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)]
    return [node.body[0].value for node in nodes if ast.get_docstring(node) is not None]


def tokens(source):
    return tokenize.generate_tokens(io.StringIO(source).readline)


def comments(source):
    return [token.string for token in tokens(source) if token.type == tokenize.COMMENT]


def lines_of_code(source):
    """How many lines have code on them: neither blank, nor comment, nor docstring."""
    quiet = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
             tokenize.ENDMARKER}  # fmt: skip
    loud = [token for token in tokens(source) if token.type not in quiet]
    lines = {line for token in loud for line in range(token.start[0], token.end[0] + 1)}
    for node in docstrings(source):
        lines -= set(range(node.lineno, node.end_lineno + 1))
    return len(lines)


def words(cell):
    """What there is to read in a cell: signs without a letter or a digit are no words."""
    read = [cell.source]
    if cell.cell_type == "code":
        read = comments(cell.source) + [node.value for node in docstrings(cell.source)]
    return [word for text in read for word in text.split() if re.search(r"\w", word)]


def imports(source):
    """Name in the code -> dotted name of what is imported under it."""
    found = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                bound = alias.asname or alias.name.partition(".")[0]
                found[bound] = alias.name if alias.asname else bound
        elif isinstance(node, ast.ImportFrom):
            found |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    return found


def chains(node):
    """Names that code reads, as far as the dots go: `np.linalg.norm(x)` has two."""
    names, here = [], node
    while isinstance(here, ast.Attribute):
        names, here = [here.attr, *names], here.value
    if isinstance(here, ast.Name):
        return [".".join([here.id, *names])]
    return [name for child in ast.iter_child_nodes(node) for name in chains(child)]


def used(source, origins):
    """Dotted names of what is used of that which is imported."""
    roots = [chain.partition(".") for chain in chains(ast.parse(source))]
    return [origins[root] + dot + rest for root, dot, rest in roots if root in origins]


def below(name, packages):
    return any(name == package or name.startswith(f"{package}.") for package in packages)


# The rules


def the_first_cell_has_title_and_time(notebook, number):
    """The site and the workshop kit read them there."""
    first = notebook.cells[0].source
    if first.startswith("# ") and TIME.search(first):
        return []
    return ['the first cell has a title and a line "**Time**: 5 minutes of reading, 5 minutes of '
            f'exercises", got {first[:60]!r}']  # fmt: skip


def the_core_is_short(notebook, number):
    if number == REFERENCE:
        return []
    cells = core(notebook)
    sections = [part for part in parts_of(notebook) if part.kind == "core"]
    found = {
        "words of text, comments and docstrings": (sum(len(words(c)) for c in cells), WORDS),
        "sections": (len(sections), SECTIONS),
        "lines of code": (sum(lines_of_code(c.source) for c in code(cells)), LINES),
    }
    return [f"a core has at most {most:,} {what}, this one has {count:,}: move some to a section "
            "of more" for what, (count, most) in found.items() if count > most]  # fmt: skip


def cells_are_small(notebook, number):
    long = [c.source for c in code(notebook.cells) if len(c.source.splitlines()) > CELL_LINES]
    if number == LONG_CLASS and len(long) == 1 and len(long[0].splitlines()) <= CLASS_LINES:
        long = [s for s in long if not any(isinstance(n, ast.ClassDef) for n in ast.parse(s).body)]
    return [f"a cell has at most {CELL_LINES} lines, one has {len(source.splitlines())}: cut it in "
            f"two\n{source}" for source in long]  # fmt: skip


def what_is_taught_stands_in_the_cell(notebook, number):
    """Nothing of the course's own experiments above the record, little else in the core."""
    cells, origins, offences = code(before_record(notebook)), {}, []
    for cell in cells:
        origins |= imports(cell.source)
    for cell in cells:
        names = {*imports(cell.source).values(), *used(cell.source, origins)}
        offences += [f"{name} is used in the record only: write its lines into the cell"
                     for name in sorted(names) if below(name, HIDDEN)
                     and not (number == REFERENCE and below(name, SHOWN))]  # fmt: skip
    known = [*OPEN, *HIDDEN, *(["bnlab.course.claim"] if number in STORED_RUNS else [])]
    for cell in code(core(notebook)):
        names = {name for name in used(cell.source, origins) if not below(name, known)}
        offences += [f"{name} is none of the names that a core uses: write its lines into the cell"
                     for name in sorted(names)]  # fmt: skip
    return offences


def numbers_are_printed_not_booleans(notebook, number):
    outputs = [output for cell in code(before_record(notebook)) for output in cell.outputs]
    count = sum(max((len(TRUTH.findall(t)) for t in texts(o)), default=0) for o in outputs)
    if count <= TRUTHS:
        return []
    return [f"at most {TRUTHS} truth values are printed above the record, got {count}: print the "
            "numbers, with a tolerance in the cell's metadata"]  # fmt: skip


def claims_and_verdicts_stand_in_the_record(notebook, number):
    if number == COURT:
        return []
    read = [text for cell in before_record(notebook) for text in prose(cell, number)]
    found = {word for text in read for word in CLAIM.findall(text) + VERDICT.findall(text)}
    if number == REFERENCE:  # P1 to P28 are the names of its entries
        found = {word for word in found if not re.fullmatch(r"P\d+", word)}
    return [f"claim ids and verdicts stand in the record, got {word!r} above it: say it in words"
            for word in sorted(found)]  # fmt: skip


def prose(cell, number):
    """Texts of a cell in which W1 would be a claim: in code and in formulas it is a weight."""
    if cell.cell_type != "code":
        return [re.sub(r"`[^`]*`|\$[^$]*\$", "", cell.source)]
    source = cell.source
    if number in STORED_RUNS:
        source = re.sub(r'\bclaim\("\w+"\)', "claim()", source)
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant)]
    strings = [node.value for node in nodes if isinstance(node.value, str)]
    strings = [text for text in strings if not re.fullmatch(r"C\d", text)]  # Matplotlib's colours
    return strings + comments(source) + [text for out in cell.outputs for text in texts(out)]


def hearsay_is_rare(notebook, number):
    count = sum(c.source.lower().count("you may have read") for c in notebook.cells)
    if count <= HEARSAY:
        return []
    return [f'"You may have read" stands at most {HEARSAY} times in a notebook, got {count}']


def three_questions_near_the_start(notebook, number):
    if number < FROM_02_ON:
        return []
    early = [cell for part in parts_of(notebook)[:2] for cell in part.cells]
    asked = [cell for cell in notebook.cells if mark(cell, "recall")]
    if len(asked) == QUESTIONS and all(mark(c, "exercise") and c in early for c in asked):
        return []
    place = sum(cell in early for cell in asked)
    return [f'{QUESTIONS} stubs of exercises have "recall": true, in the opening or the first '
            f"section; got {len(asked)} cells, {place} of them there"]  # fmt: skip


def the_ending_is_card_reading_record(notebook, number):
    marks = [mark(cell, "ending") for cell in notebook.cells if mark(cell, "ending")]
    kinds = [part.kind for part in parts_of(notebook)]
    if marks == ENDING and kinds.count("ending") == 1 and kinds[-1] == "ending":
        return []
    return [f'the last cells with "ending" in their metadata are {ENDING}, with no section between '
            f"or behind; got {marks} in {kinds}"]  # fmt: skip


def figures_are_followed_by_words(notebook, number):
    offences = []
    for cell, after in zip(notebook.cells, [*notebook.cells[1:], None], strict=True):
        drawn = any("image/png" in o.get("data", {}) for o in cell.get("outputs", []))
        if drawn and (after is None or after.cell_type != "markdown"):
            offences.append(f"a text cell below each figure says what it shows:\n{cell.source}")
    return offences


def headings_of_more_say_so(notebook, number):
    """On the page nobody sees the metadata."""
    parts = [part for part in parts_of(notebook) if part.kind == "more"]
    return [f'a section of more has a heading that begins "More: ", got {part.title!r}'
            for part in parts if not part.title.startswith("More: ")]  # fmt: skip


RULES = (
    the_first_cell_has_title_and_time,
    the_core_is_short,
    cells_are_small,
    what_is_taught_stands_in_the_cell,
    numbers_are_printed_not_booleans,
    claims_and_verdicts_stand_in_the_record,
    hearsay_is_rare,
    three_questions_near_the_start,
    the_ending_is_card_reading_record,
    figures_are_followed_by_words,
    headings_of_more_say_so,
)
