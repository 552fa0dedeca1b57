"""`bnlab workshop build`: cut notebooks that run, pages that agree with them, a safe folder."""

import ast
import builtins
import copy
import html
import json
import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from itertools import pairwise
from pathlib import Path

import pytest
from nbval_within import tolerant
from typer.testing import CliRunner

pytest.importorskip("nbclient")
pytest.importorskip("latex2mathml")

from bnlab.course.exercises.helping import solution_source
from bnlab.course.experiments.ledger import ledger
from bnlab.course.lessons.nb05.conventions import CONVENTIONS
from bnlab.tools import cli
from bnlab.tools.workshop import build as building
from bnlab.tools.workshop.build import build
from bnlab.tools.workshop.cutting import cut, given_and_taken
from bnlab.tools.workshop.formulas import missing
from bnlab.tools.workshop.handout import FORMULAS, formulas_of, handout
from bnlab.tools.workshop.plans import PLANS, WorkshopError, mark, parts_of, read_plan
from bnlab.tools.workshop.schedule import schedule
from bnlab.tools.workshop.solving import execute, with_notes, with_solutions

WHOLE = read_plan(max(PLANS))
CUT = {name: cut(notebook) for name, notebook in WHOLE.items()}

every_plan = pytest.mark.parametrize("minutes", PLANS)
every_notebook = pytest.mark.parametrize("name", WHOLE)


def core(notebook):
    return [part for part in parts_of(notebook) if part.kind == "core"]


def lessons(notebook):
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [cell for cell in cells if not (mark(cell, "exercise") or mark(cell, "check"))]


def marked(notebook, key):
    return [cell for cell in notebook.cells if mark(cell, key)]


def shown(cell, change=lambda text: text):
    """Texts of a cell's outputs; a slow machine stores the pieces of one stream apart."""
    printed = "".join(o["text"] for o in cell.outputs if o["output_type"] == "stream")
    texts = [printed, *[o["data"].get("text/plain") for o in cell.outputs if "data" in o]]
    return [tolerant(change(text), cell.metadata) for text in texts]


def nobodys(text):
    """A text that does not say whether a function is the learner's or the course's."""
    text = re.sub(r"^(\w+): (the course's|yours)\b.*", r"\1", text, flags=re.MULTILINE)
    return re.sub(r"\b(the course's|your) (?=\w+_\w)", "", text)


def notebook_of(*cells):
    """A small notebook from (kind, source): heads are markdown of "core", "more" and endings."""
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

    made = [new_markdown_cell("# Title\n\n**Time**: 60 minutes of reading.")]
    for kind, source in cells:
        if kind == "code":
            made.append(new_code_cell(source))
        else:
            section = kind in ("core", "more")
            marks = {"section": kind, "minutes": 5} if section else {"ending": kind}
            made.append(new_markdown_cell(f"## {source}", metadata={"bnlab": marks}))
    return new_notebook(cells=made)


def sources(notebook):
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


# Plans and parts


@every_plan
def test_a_plan_fits_into_its_minutes(minutes):
    notebooks = read_plan(minutes)
    assert tuple(name[:2] for name in notebooks) == PLANS[minutes]
    assert 0 < sum(p.minutes for n in notebooks.values() for p in core(n)) <= minutes


def test_a_longer_plan_has_everything_of_a_shorter_one():
    chosen = [set(PLANS[minutes]) for minutes in sorted(PLANS)]
    assert all(shorter < longer for shorter, longer in pairwise(chosen))


def test_other_lengths_are_refused():
    with pytest.raises(WorkshopError, match="takes 45, 90, 180 minutes, got 60; choose one"):
        read_plan(60)


@every_notebook
def test_the_parts_are_the_notebook(name):
    parts = parts_of(WHOLE[name])
    assert [c.id for p in parts for c in p.cells] == [c.id for c in WHOLE[name].cells]
    kinds = [part.kind for part in parts]
    assert (kinds[0], kinds[-1]) == ("opening", "ending")
    assert set(kinds[1:-1]) == {"core", "more"}


def test_the_ending_is_one_part_and_is_known_by_its_metadata():
    notebook = notebook_of(
        ("core", "The record"), ("code", "a = 1"), ("summary", "Sum up"), ("reading", "Read"),
        ("record", "What was measured"), ("code", "b = a"),
    )  # fmt: skip
    parts = [(part.kind, [cell.source for cell in part.cells][1:]) for part in parts_of(notebook)]
    assert parts[1:] == [
        ("core", ["a = 1"]),
        ("ending", ["## Read", "## What was measured", "b = a"]),
    ]


# Cut notebooks


@pytest.mark.parametrize(
    ("source", "given", "taken"),
    [
        ("a = b", "a", "b"),
        ("a = 1\nprint(a)", "a", "print"),
        ("print(a)\na = 1", "a", "a print"),
        ("a += 1", "a", "a"),
        ("import numpy as np\nfrom os import path", "np path", ""),
        ("for a in rows:\n    print(a)", "a", "print rows"),
        ("b = [a * c for a in rows]", "b", "c rows"),
        ("def f(a):\n    c = a + d\n    return c", "f", "d"),
        ("def f():\n    return lambda: g(a)\na = 1", "a f", "g"),
        ("f = lambda a: a + b", "f", "b"),
        ("class A(B):\n    c = d", "A", "B d"),
        ("try:\n    a = b\nexcept E:\n    c", "a", "E b c"),
        ("with a as b:\n    b.c = d", "b", "a d"),
        ("a, (b, *c) = d\na[e] = 1", "a b c", "d e"),
        ("if (a := b):\n    a", "a", "b"),
    ],
)
def test_names_are_read_in_the_order_of_their_use(source, given, taken):
    found = given_and_taken(source)
    hidden = {"__name__"}  # a class body looks it up
    assert [" ".join(sorted(names - hidden)) for names in found] == [given, taken]


def test_what_a_kept_cell_needs_comes_along_and_nothing_else():
    left = [("code", line) for line in ("b = a", "c = b", "d = c")]
    kept = [("core", "Kept"), ("code", "print(c)")]
    short = cut(notebook_of(("code", "a = 1"), ("more", "Left"), *left, *kept))
    assert sources(short) == ["a = 1", "b = a", "c = b", "print(c)"]
    assert any('comes from "Left"' in cell.source for cell in short.cells)
    assert not any(cell.source.startswith("## Left") for cell in short.cells)


def test_the_last_definition_counts():
    """As in the whole notebook: not the one of a kept cell that came earlier."""
    left, kept = [("more", "Left"), ("code", "a = 2")], ("core", "Kept")
    short = cut(notebook_of(("code", "a = 1"), *left, kept, ("code", "a")))
    assert sources(short) == ["a = 1", "a = 2", "a"]
    again = cut(notebook_of(*left, kept, ("code", "a = 1"), ("code", "a")))
    assert sources(again) == ["a = 1", "a"]


def test_a_function_brings_what_it_calls():
    left, kept = [("more", "Left"), ("code", "import math")], ("core", "Kept")
    short = cut(notebook_of(*left, kept, ("code", "def f():\n    return math.pi")))
    assert sources(short)[0] == "import math"


@every_notebook
def test_a_cut_notebook_defines_what_it_uses(name):
    """An independent look with ast: names of the course, in the cells up to here."""

    def names(cell, context):
        nodes = list(ast.walk(ast.parse(cell.source)))
        found = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, context)}
        if context is ast.Store:
            imports = [n for n in nodes if isinstance(n, ast.Import | ast.ImportFrom)]
            found |= {alias.asname or alias.name for n in imports for alias in n.names}
            found |= {n.name for n in nodes if isinstance(n, ast.FunctionDef | ast.ClassDef)}
            found |= {n.arg for n in nodes if isinstance(n, ast.arg)}
            found |= {n.name for n in nodes if isinstance(n, ast.ExceptHandler) and n.name}
        return found

    known = set(dir(builtins)) | {"display"}
    for cell in lessons(CUT[name]):
        known |= names(cell, ast.Store)
        assert names(cell, ast.Load) <= known, cell.source


@every_notebook
def test_the_core_and_only_the_core_is_kept(name):
    parts = parts_of(CUT[name])
    assert [p.title for p in parts[1:-1]] == [p.title for p in core(WHOLE[name])]
    assert {p.kind for p in parts[1:-1]} == {"core"}
    kept = {cell.id for cell in CUT[name].cells}
    assert kept >= {c.id for p in core(WHOLE[name]) for c in p.cells}
    assert kept >= {c.id for p in (parts_of(WHOLE[name])[i] for i in (0, -1)) for c in p.cells}


@every_notebook
def test_the_opening_says_this_workshops_minutes_and_what_is_left_for_home(name):
    opening = CUT[name].cells[0].source
    minutes = sum(part.minutes for part in core(WHOLE[name]))
    assert f"**Time**: {minutes} minutes in this workshop" in opening
    assert "minutes of reading" not in opening
    for part in parts_of(WHOLE[name]):
        assert (f"\n- {part.title}" in opening) == (part.kind == "more")


@every_notebook
def test_exercises_are_empty_and_lessons_keep_their_outputs(name):
    stored = {cell.id: cell for cell in WHOLE[name].cells}
    assert marked(CUT[name], "exercise")
    assert len(marked(CUT[name], "exercise")) == len(marked(CUT[name], "check"))
    for cell in [*marked(CUT[name], "exercise"), *marked(CUT[name], "check")]:
        assert (cell.outputs, cell.execution_count) == ([], None)
        assert cell.source == stored[cell.id].source
        assert "..." in cell.source or mark(cell, "check")
    for cell in lessons(CUT[name]):
        assert shown(cell) == shown(stored[cell.id])


@every_notebook
def test_a_cut_notebook_is_valid_and_counts_as_it_will_run(name):
    import nbformat

    nbformat.validate(CUT[name])
    code = [cell for cell in CUT[name].cells if cell.cell_type == "code"]
    for count, cell in enumerate(code, start=1):
        assert cell.execution_count in (None, count)
        assert {o["execution_count"] for o in cell.outputs if "execution_count" in o} <= {count}


def test_cutting_and_solving_leave_their_notebook_as_it_is():
    notebook = read_plan(45)["02_batchnorm_algorithm"]
    before = copy.deepcopy(notebook)
    with_solutions(with_notes(cut(notebook)))
    assert notebook == before


@pytest.mark.slow
@every_notebook
def test_a_cut_notebook_runs_and_prints_what_is_stored(name, tmp_path, monkeypatch):
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")  # of the instructor's own shell
    monkeypatch.setenv("BNLAB_HOME", str(tmp_path))
    notebook = copy.deepcopy(CUT[name])
    execute(notebook, name)
    for ran, cell in zip(lessons(notebook), lessons(CUT[name]), strict=True):
        assert ran.execution_count == cell.execution_count
        assert ran.metadata.get("tags") or shown(cell) == shown(ran), cell.source
    assert list(tmp_path.iterdir()) == [], "building a kit is not the instructor's progress"


# Instructor's notebooks


@every_notebook
def test_each_section_opens_with_its_minutes_and_the_instructors_words(name):
    heads = marked(with_notes(CUT[name]), "minutes")
    assert heads
    for head in heads:
        title, blank, note, *_ = head.source.split("\n")
        assert (title[:3], blank) == ("## ", "")
        assert note.startswith(f"> **Instructor:** {mark(head, 'minutes')} minutes.")
        assert note.endswith(mark(head, "instructor") or "minutes.")


@every_notebook
def test_the_text_below_a_note_stays(name):
    for before, after in zip(CUT[name].cells, with_notes(CUT[name]).cells, strict=True):
        for line in before.source.split("\n"):
            assert line in after.source


@pytest.mark.slow
@every_notebook
def test_with_solutions_every_check_says_correct(name):
    notebook = with_solutions(with_notes(CUT[name]))
    execute(notebook, name)
    for cell in marked(notebook, "check"):
        assert ": correct." in json.dumps(cell.outputs), cell.source
    for cell in marked(notebook, "exercise"):
        assert solution_source(mark(cell, "exercise")) in cell.source
    for ran, cell in zip(lessons(notebook), lessons(CUT[name]), strict=True):
        if set(ran.metadata.get("tags", ())) <= {"mine"}:  # others show progress or a clock
            assert shown(cell, nobodys) == shown(ran, nobodys), cell.source


@pytest.mark.slow
def test_a_cell_that_fails_is_a_sentence():
    said = r"05_x with its solutions .*\(ValueError: no such thing\); bnlab doctor"
    with pytest.raises(WorkshopError, match=said):
        execute(notebook_of(("code", "raise ValueError('no such thing')")), "05_x")


# Schedule


@every_plan
def test_the_schedule_has_every_section_with_its_start_and_minutes(minutes):
    notebooks = read_plan(minutes)
    text = schedule(notebooks, minutes)
    start = 0
    for name, notebook in notebooks.items():
        for part in core(notebook):
            clock = f"{start // 60}:{start % 60:02d}"
            cells = (clock, part.minutes, name[:2], html.escape(part.title))
            assert "".join(f"<td>{cell}</td>" for cell in cells) in text
            assert html.escape(part.note) in text
            start += part.minutes
    assert f"take {start} of the {minutes} minutes; {minutes - start} are left" in text
    assert f"<td>{minutes - start}</td><td></td><td>room for questions" in text


@every_plan
def test_the_schedule_knows_where_people_get_stuck(minutes):
    notebooks = read_plan(minutes)
    text = html.unescape(schedule(notebooks, minutes))
    exercises = [e for n in notebooks.values() for p in core(n) for e in p.exercises]
    assert exercises
    for exercise in exercises:
        assert f"{exercise.name} ({exercise.minutes})" in text
        for mistake in exercise.mistakes:
            assert mistake.sentence in text


def cut_tables(minutes):
    """Rows of the two tables below "What to cut first", as lists of texts."""
    text = schedule(read_plan(minutes), minutes)
    part = text[text.index("What to cut first") : text.index("Where people get stuck")]
    for table in part.split("<table>")[1:]:
        rows = re.findall(r"<tr>(<td>.*?)</tr>", table)
        yield [re.findall("<td>(.*?)</td>", row) for row in rows]


@every_plan
def test_exercises_are_cut_from_the_hardest_down(minutes):
    rows, _ = cut_tables(minutes)
    keys = [(-len(difficulty), -int(m)) for m, _, _, _, difficulty in rows]
    assert keys == sorted(keys)
    assert [int(won) for _, won, *_ in rows] == [
        sum(int(m) for m, *_ in rows[: i + 1]) for i in range(len(rows))
    ]


@every_plan
def test_sections_are_cut_down_to_the_shorter_plans(minutes):
    _, rows = cut_tables(minutes)
    order = [row[2] for row in rows]
    for shorter in (m for m in PLANS if m < minutes):
        keeps = [notebook in PLANS[shorter] for notebook in order]
        assert keeps == sorted(keeps), f"something of {shorter} minutes goes too early"
    titles = [p.title for n in read_plan(minutes).values() for p in core(n)]
    assert sorted(html.unescape(row[3]) for row in rows) == sorted(titles)


# Hand-out


def test_the_handout_has_all_pitfalls_and_every_library():
    text = html.unescape(handout())
    pitfalls = [e.claim for name, e in ledger().items() if name.startswith("P")]
    assert [claim.id for claim in pitfalls] == [f"P{n}" for n in range(1, 29)]
    for claim in pitfalls:
        assert f"{claim.id} {claim.said}" in text
        assert claim.correct in text
    for library, convention in CONVENTIONS.items():
        row = re.search(f"<tr><td>{re.escape(library)}</td>(.*?)</tr>", text).group(1)
        cells = re.findall("<td>(.*?)</td>", row)
        assert cells[0] == convention.multiplies
        assert [None if c == "–" else float(c) for c in (*cells[1:3], cells[5])] == [
            convention.momentum,
            convention.eps,
            convention.channel_axis,
        ]
        assert [*cells[3:5], cells[6]] == [convention.variance, convention.start, convention.names]


def test_the_formulas_are_those_of_the_docstrings():
    text = handout()
    formulas = {name: formulas_of(thing) for name, thing in FORMULAS.items()}
    assert all(formulas.values())
    assert text.count("<math") == sum(map(len, formulas.values()))
    for found in formulas.values():
        assert all(html.escape(latex) in text for latex in found)


@every_plan
def test_pages_need_no_network(minutes):
    for text in (handout(), schedule(read_plan(minutes), minutes)):
        addresses = set(re.findall(r"https?://[^\s\"'<]*", text))
        assert addresses <= {"http://www.w3.org/1998/Math/MathML"}
        assert not re.search("<script|<link|<img|@import|url\\(", text)


@pytest.mark.slow
def test_the_printed_handout_is_one_page_of_a4(page):
    page.set_content(handout())
    content = page.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page\b", content)) == 1
    width, height = map(float, re.search(rb"/MediaBox \[0 0 (\S+) (\S+)\]", content).groups())
    assert (width / 72 * 25.4, height / 72 * 25.4) == pytest.approx((210, 297), abs=0.5)


# The folder


@pytest.fixture
def quick(monkeypatch):
    """Build without kernels; what is executed is noted."""
    executed = []
    monkeypatch.setattr(building, "execute", lambda notebook, name: executed.append(name))
    return executed


def tree(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_the_kit_has_everything(tmp_path, quick):
    kit = build(tmp_path / "kit", 45)
    name = "02_batchnorm_algorithm"
    assert tree(kit) == [
        "handout.html",
        f"instructor/{name}.ipynb",
        "participants.zip",
        f"participants/{name}.ipynb",
        "schedule.html",
        f"slides/{name}.html",
    ]
    assert quick == [name]
    assert list(tmp_path.iterdir()) == [kit]
    assert "45 minutes" in (kit / "schedule.html").read_text(encoding="utf-8")


def test_the_archive_is_the_folder_and_the_same_each_time(tmp_path, quick):
    kits = [build(tmp_path / name, 45) for name in ("one", "two")]
    one, two = [(kit / "participants.zip").read_bytes() for kit in kits]
    assert one == two
    with zipfile.ZipFile(kits[0] / "participants.zip") as archive:
        assert archive.namelist() == [n for n in tree(kits[0]) if n.startswith("participants/")]
        for name in archive.namelist():
            assert archive.read(name) == (kits[0] / name).read_bytes()


def test_an_empty_folder_is_welcome_and_parents_are_made(tmp_path, quick):
    (tmp_path / "empty").mkdir()
    assert (build(tmp_path / "empty", 45) / "schedule.html").is_file()
    assert (build(tmp_path / "new" / "kit", 45) / "schedule.html").is_file()


def test_a_folder_in_use_is_refused_and_stays(tmp_path, quick):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(WorkshopError, match=r"needs a new or empty folder, and .* is in use; ch"):
        build(tmp_path, 45)
    with pytest.raises(WorkshopError, match=r"notes\.txt is in use"):
        build(tmp_path / "notes.txt", 45)
    assert tree(tmp_path) == ["notes.txt"]
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_what_somebody_puts_there_meanwhile_is_not_lost(tmp_path, monkeypatch):
    def meddle(notebook, name):
        (tmp_path / "kit").mkdir()
        (tmp_path / "kit" / "mine.txt").write_text("mine")

    monkeypatch.setattr(building, "execute", meddle)
    with pytest.raises(WorkshopError, match="cannot write"):
        build(tmp_path / "kit", 45)
    assert tree(tmp_path) == ["kit/mine.txt"]


@pytest.mark.parametrize(
    ("error", "seen", "words"),
    [
        (KeyboardInterrupt(), KeyboardInterrupt, None),
        (WorkshopError("a cell failed"), WorkshopError, "a cell failed"),
        (missing("nbclient"), WorkshopError, r"nbclient is not installed.*\[workshop\]"),
        (OSError(28, "No space left on device"), WorkshopError, "cannot write .*No space left"),
    ],
)
def test_a_build_that_ends_early_leaves_nothing(tmp_path, monkeypatch, error, seen, words):
    def fail(notebook, name):
        raise error

    monkeypatch.setattr(building, "execute", fail)
    with pytest.raises(seen, match=words):
        build(tmp_path / "kit", 45)
    assert list(tmp_path.iterdir()) == []


def test_steps_are_told(tmp_path, quick):
    told = []
    build(tmp_path / "kit", 45, tell=told.append)
    assert [line for line in told if "02_batchnorm_algorithm" in line]


# The command


def test_the_command_builds_and_says_where(tmp_path, quick):
    done = CliRunner().invoke(cli.app, ["workshop", "build", str(tmp_path / "kit"), "--minutes=45"])
    assert done.exit_code == 0, done.output
    assert "kit for 45 minutes is in" in done.output
    assert (tmp_path / "kit" / "schedule.html").is_file()


def test_the_command_takes_three_hours_if_nothing_is_said(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(building, "build", lambda *given, tell: asked.append(given) or given[0])
    CliRunner().invoke(cli.app, ["workshop", "build", "kit"], catch_exceptions=False)
    assert asked == [(Path("kit"), 180, False)]


def test_the_command_refuses_in_a_sentence(tmp_path):
    (tmp_path / "mine.txt").touch()
    done = CliRunner().invoke(cli.app, ["workshop", "build", str(tmp_path)])
    assert done.exit_code == 1
    assert "is in use" in done.output
    done = CliRunner().invoke(cli.app, ["workshop", "build", str(tmp_path / "k"), "--minutes=60"])
    assert "takes 45, 90, 180 minutes, got 60" in done.output


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows sends no such signals")
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "kill"])
def test_a_real_build_that_is_stopped_leaves_nothing(tmp_path, ending):
    start = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code = (
        f"{start}from bnlab.tools.cli import app; app(['workshop', 'build', 'kit', '--minutes=45'])"
    )
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    process = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, **pipes)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob(".kit-*/kit/instructor")) and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.1)
    time.sleep(2)  # the kernel is at work
    assert process.poll() is None
    process.send_signal(ending)
    assert "Nothing is left" in process.communicate(timeout=60)[0]
    assert process.returncode == 130
    assert list(tmp_path.iterdir()) == []
