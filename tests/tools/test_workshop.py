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
from bnlab.course.exercises.registry import find
from bnlab.course.experiments.ledger import ledger
from bnlab.course.lessons.nb05.conventions import CONVENTIONS
from bnlab.tools import cli
from bnlab.tools.lab import unopened
from bnlab.tools.workshop import build as building
from bnlab.tools.workshop.build import build
from bnlab.tools.workshop.closing import CLOSING, card_of, closing
from bnlab.tools.workshop.cutting import cut, given_and_taken, lead_on
from bnlab.tools.workshop.formulas import missing
from bnlab.tools.workshop.handout import FORMULAS, formulas_of, handout
from bnlab.tools.workshop.installing import FROM_INDEX, START, WHEEL
from bnlab.tools.workshop.likely import sentence
from bnlab.tools.workshop.plans import (
    BREAKS,
    SCRIPT,
    WorkshopError,
    mark,
    parts_of,
    read_notebooks,
    read_plan,
)
from bnlab.tools.workshop.schedule import LIKELIEST, schedule
from bnlab.tools.workshop.slides import write_slides
from bnlab.tools.workshop.solving import execute, with_notes, with_solutions

COURSE = read_notebooks()


def kit_of(minutes):
    """Whole notebooks of a plan, with the closing one."""
    whole = read_plan(minutes)
    return whole | {CLOSING: closing(minutes, whole)}


PLANS = {minutes: kit_of(minutes) for minutes in BREAKS}
CUTS = {m: {name: cut(nb, m) for name, nb in kit.items()} for m, kit in PLANS.items()}
WHOLE, CUT = PLANS[180], CUTS[180]

every_plan = pytest.mark.parametrize("minutes", PLANS)
every_notebook = pytest.mark.parametrize("name", WHOLE)
every_cut = pytest.mark.parametrize(
    ("minutes", "name"), [(minutes, name) for minutes, kit in PLANS.items() for name in kit]
)


def sections(notebook):
    return [part for part in parts_of(notebook) if part.minutes]


def taken(minutes):
    """Number of the notebook and title of each section of a plan, as they are stored."""
    kit = PLANS[minutes].items()
    return [(n[:2], p.title) for n, nb in kit for p in parts_of(nb) if p.is_in(minutes)]


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
            marks |= {"plans": [45]} if kind == "core" else {}
            made.append(new_markdown_cell(f"## {source}", metadata={"bnlab": marks}))
    return new_notebook(cells=made)


def sources(notebook):
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


# Plans and parts


NUMBERS = {
    45: {"00": 12, "02": 20, "05": 8, "99": 5},
    90: {"00": 12, "02": 20, "03": 33, "05": 8, "99": 5},
    180: {"00": 12, "02": 24, "03": 33, "04": 13, "05": 26, "06": 17, "09": 18, "99": 5},
}


@every_plan
def test_a_plan_and_its_breaks_fit_into_its_minutes(minutes):
    used = {n[:2]: sum(p.minutes for p in sections(nb)) for n, nb in CUTS[minutes].items()}
    assert used == NUMBERS[minutes]
    free = minutes - sum(used.values()) - sum(BREAKS[minutes].values())
    assert free == {45: 0, 90: 5, 180: 12}[minutes]
    assert set(BREAKS[minutes]) <= set(used)


def test_the_readme_has_these_minutes():
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (45|90|180) \| (.*?) \| (\d+) \| (\d+) \|$", readme, re.M)
    total = 0
    for minutes, held, pause, free in rows:
        total += sum(map(int, re.findall(r"\((\d+)\)", held)))
        assert sum(NUMBERS[int(minutes)].values()) == total
        assert int(pause) == sum(BREAKS[int(minutes)].values())
        assert total + int(pause) + int(free) == int(minutes)
    assert len(rows) == 3


def test_a_longer_plan_has_every_section_of_a_shorter_one():
    for shorter, longer in pairwise(sorted(PLANS)):
        assert {p for p in taken(shorter) if p[0] != "99"} < set(taken(longer))


@every_plan
def test_exercises_fit_into_their_sections(minutes):
    for name, notebook in CUTS[minutes].items():
        for part in sections(notebook):
            assert sum(e.minutes for e in part.exercises) <= part.minutes, (name, part.title)


def test_other_lengths_are_refused():
    with pytest.raises(WorkshopError, match="takes 45, 90, 180 minutes, got 60; choose one"):
        read_plan(60)


@every_notebook
def test_the_parts_are_the_notebook(name):
    parts = parts_of(WHOLE[name])
    assert [c.id for p in parts for c in p.cells] == [c.id for c in WHOLE[name].cells]
    kinds = [part.kind for part in parts]
    assert (kinds[0], kinds[-1]) == ("opening", "ending")
    assert set(kinds[1:-1]) <= {"core", "more"}


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
    short = cut(notebook_of(("code", "a = 1"), ("more", "Left"), *left, *kept), 45)
    assert sources(short) == ["a = 1", "b = a", "c = b", "print(c)"]
    assert any('comes from "Left"' in cell.source for cell in short.cells)
    assert not any(cell.source.startswith("## Left") for cell in short.cells)


def test_the_last_definition_counts():
    """As in the whole notebook: not the one of a kept cell that came earlier."""
    left, kept = [("more", "Left"), ("code", "a = 2")], ("core", "Kept")
    short = cut(notebook_of(("code", "a = 1"), *left, kept, ("code", "a")), 45)
    assert sources(short) == ["a = 1", "a = 2", "a"]
    again = cut(notebook_of(*left, kept, ("code", "a = 1"), ("code", "a")), 45)
    assert sources(again) == ["a = 1", "a"]


def test_a_function_brings_what_it_calls():
    left, kept = [("more", "Left"), ("code", "import math")], ("core", "Kept")
    short = cut(notebook_of(*left, kept, ("code", "def f():\n    return math.pi")), 45)
    assert sources(short)[0] == "import math"


@every_notebook
def test_a_cut_notebook_defines_what_it_uses(name):
    """An independent look with ast: names of the course, in the cells up to here."""

    def names(cell, context):
        nodes = list(ast.walk(ast.parse(cell.source)))
        found = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, context)}
        if context is ast.Store:
            imports = [n for n in nodes if isinstance(n, ast.Import | ast.ImportFrom)]
            found |= {
                alias.asname or alias.name.partition(".")[0] for n in imports for alias in n.names
            }
            found |= {n.name for n in nodes if isinstance(n, ast.FunctionDef | ast.ClassDef)}
            found |= {n.arg for n in nodes if isinstance(n, ast.arg)}
            found |= {n.name for n in nodes if isinstance(n, ast.ExceptHandler) and n.name}
        return found

    known = set(dir(builtins)) | {"display"}
    for cell in lessons(CUT[name]):
        known |= names(cell, ast.Store)
        assert names(cell, ast.Load) <= known, cell.source


def bare(title):
    title = title.removeprefix("More: ")
    return title[0].upper() + title[1:]


@every_cut
def test_the_plan_and_only_the_plan_is_kept(minutes, name):
    parts, whole = parts_of(CUTS[minutes][name]), parts_of(PLANS[minutes][name])
    wanted = [bare(p.title) for p in whole if p.is_in(minutes)]
    assert [p.title for p in parts[1:-1]] == wanted
    kept = {cell.id for cell in CUTS[minutes][name].cells}
    out = [c.id for p in whole if p.minutes and not p.is_in(minutes) for c in p.cells]
    foreign = [c for c in CUTS[minutes][name].cells if c.id in out]
    assert all(c.cell_type == "code" and not mark(c, "exercise") for c in foreign)
    assert not marked(CUTS[minutes][name], "recall")
    assert {mark(c, "ending") for c in CUTS[minutes][name].cells} <= {None, "summary", "reading"}
    assert kept >= {c.id for c in whole[0].cells if mark(c, "guard")}


def test_a_closed_book_question_goes_with_its_text_and_its_check():
    for minutes, kit in CUTS.items():
        for name in kit:
            for asked, stub, check in zip(*[iter(recalled(PLANS[minutes][name]))] * 3, strict=True):
                ids = {cell.id for cell in kit[name].cells}
                assert ids.isdisjoint({asked.id, stub.id, check.id})
                assert "?" in asked.source or ":" in asked.source


def recalled(notebook):
    for i, cell in enumerate(notebook.cells):
        if mark(cell, "recall"):
            yield from notebook.cells[i - 1 : i + 2]


def test_a_section_may_stop_early_and_says_so():
    (hunt,) = sections(CUT["09_field_guide"])
    assert [e.name for e in hunt.exercises] == ["bug_hunt_1", "bug_hunt_2", "bug_hunt_3"]
    assert 'in the whole notebook "Hunt ten mistakes" goes on' in hunt.cells[-1].source or any(
        "goes on" in cell.source for cell in hunt.cells
    )


@every_cut
def test_no_cell_needs_pytorch_and_no_link_leads_out_of_the_folder(minutes, name):
    for cell in CUTS[minutes][name].cells:
        assert cell.cell_type == "markdown" or not re.search(r"\btorch\b", cell.source)
        linked = re.findall(r"\]\((\w+)\.ipynb", cell.source)
        assert set(linked) <= set(building.LOOK_UP)


@every_cut
def test_where_bnlab_is_missing_the_kit_says_how_to_install(minutes, name):
    for cell in marked(CUTS[minutes][name], "guard"):
        compile(cell.source, "guard", "exec")
        assert "INSTALL.txt, beside this notebook" in cell.source
        assert "FOLDER" not in cell.source


@every_plan
def test_the_closing_votes_on_what_the_room_has_done(minutes):
    notebook = CUTS[minutes][CLOSING]
    vote, _ = sections(notebook)
    assert len(vote.exercises) == 2
    assert {e.taught for e in vote.exercises} <= {name[:2] for name in PLANS[minutes]}
    for name in read_plan(minutes):
        row = re.search(rf"^\| {name[:2]} \| (.+?) \| (.+) \|$", notebook.cells[-2].source, re.M)
        assert len(row[1].split()) > 5
    assert "Before you look at the table" in notebook.cells[-3].source
    assert "|" not in notebook.cells[-3].source
    assert not re.search("One\\.|Two\\.|Three\\.", "".join(c.source for c in vote.cells))


def test_a_number_that_no_workshop_meets_gives_way_to_another():
    table = closing(180, read_plan(180)).cells[-2].source
    for name, notebook in read_plan(180).items():
        (card,) = [cell for cell in notebook.cells if mark(cell, "ending") == "summary"]
        number = mark(card, "workshop_number")
        assert bool(number) == (name[:2] in ("02", "04", "09"))
        assert number is None or f" {number} |" in table
    assert "7. No value" not in table


def test_every_card_has_an_idea_and_a_number():
    whole = closing(45, COURSE)
    assert all(f"\n| {name[:2]} | " in whole.cells[-2].source for name in COURSE)
    for notebook in COURSE.values():
        assert "Next: " not in card_of(notebook)


@every_notebook
def test_the_opening_says_this_workshops_minutes_and_what_is_left_for_home(name):
    opening = CUT[name].cells[0].source if CUT[name].cells[0].cell_type == "markdown" else ""
    opening = opening or next(c.source for c in CUT[name].cells if c.cell_type == "markdown")
    minutes = sum(part.minutes for part in sections(CUT[name]))
    assert f"**Time**: {minutes} minutes in this workshop" in opening
    assert "minutes of reading" not in opening
    assert "The core takes" not in opening
    for part in parts_of(WHOLE[name]):
        if part.minutes:
            assert (f"\n- {bare(part.title)}" in opening) == (not part.is_in(180))


@every_notebook
def test_exercises_are_empty_and_lessons_keep_their_outputs_for_slides_and_instructors(name):
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


def read_whole(source, *more):
    """A cut notebook of a section "Kept", in which `source` stands, and of what else it has."""
    cells = [("core", f"Kept\n\n{source}"), *more, ("summary", "Card\n\nNext: 04.")]
    return cut(notebook_of(*cells), 45)


def test_words_about_the_next_section_name_it_where_it_is_left_out():
    source = "(the next section derives it)"
    left = read_whole(source, ("more", "More: derive it"))
    assert '("Derive it" in the whole notebook derives it)' in left.cells[1].source
    assert source in read_whole(source, ("core", "Derive it")).cells[1].source


def test_only_the_card_of_a_shortened_notebook_says_that_it_is_of_the_whole():
    (left,) = marked(read_whole("", ("more", "Left")), "ending")
    (whole,) = marked(read_whole(""), "ending")
    assert left.source.startswith("## Card\n\n*This is the card of the whole notebook; some")
    assert whole.source.startswith("## Card\n\nNext")


@pytest.mark.parametrize(
    ("before", "says"),
    [
        ("notebooks 02 and 04.", "the notebooks before this one."),
        ("notebooks 02 to 05. More", "the notebooks before this one. More"),
        ("notebook 02 and the chain rule.", "notebook 02 and the chain rule."),
    ],
)
def test_no_notebook_is_asked_for_that_the_workshop_may_not_have(before, says):
    notebook = notebook_of(("core", "Kept"), ("summary", "Card"))
    notebook.cells[0].source += f"\n\n**Before you start**: {before}"
    assert cut(notebook, 45).cells[0].source.endswith(f"**Before you start**: {says}")


@every_plan
def test_each_notebook_leads_on_to_the_next_one_of_the_workshop(minutes):
    kit = copy.deepcopy(CUTS[minutes])
    lead_on(kit)
    for notebook, name in zip(kit.values(), list(kit)[1:], strict=False):
        (card,) = [cell for cell in notebook.cells if mark(cell, "ending") == "summary"]
        (line,) = re.findall("^Next: .*$", card.source, re.M)
        assert line.endswith(f"]({name}.ipynb).")
        assert "Words: [glossary]" in card.source


def test_cutting_and_solving_leave_their_notebook_as_it_is():
    notebook = read_plan(45)["02_batchnorm_algorithm"]
    before = copy.deepcopy(notebook)
    with_solutions(with_notes(cut(notebook, 45)))
    assert notebook == before


@pytest.mark.slow
@every_cut
def test_a_cut_notebook_runs_and_prints_what_is_stored(minutes, name, tmp_path, monkeypatch):
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")  # of the instructor's own shell
    monkeypatch.setenv("BNLAB_HOME", str(tmp_path))
    kept = CUTS[minutes][name]
    notebook = copy.deepcopy(kept)
    execute(notebook, name)
    for ran, cell in zip(lessons(notebook), lessons(kept), strict=True):
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
        minutes = mark(head, "room") or mark(head, "minutes")
        assert note.startswith(f"> **Instructor:** {minutes} min.")
        assert note.endswith(mark(head, "instructor") or "min.")


@every_notebook
def test_the_text_below_a_note_stays(name):
    noted = {cell.id: cell.source for cell in with_notes(CUT[name]).cells}
    for cell in CUT[name].cells:
        for line in cell.source.split("\n"):
            assert line in noted[cell.id]


@every_plan
def test_every_question_has_a_script_of_90_seconds(minutes):
    for notebook in CUTS[minutes].values():
        noted = [cell.source for cell in with_notes(notebook).cells]
        for cell in notebook.cells:
            script = mark(cell, "script")
            assert bool(script) >= bool(mark(cell, "exercise")), cell.source
            if script:
                assert set(script) == set(SCRIPT)
                assert all(len(text.split()) > 4 for text in script.values())
                assert 120 <= sum(len(text.split()) for text in script.values()) <= 220
                assert not any(re.match(r"\d+\. ", text) for text in script.values()), "a list"
                assert any(script["say"] in source for source in noted)


@every_plan
def test_a_likely_mistake_is_one_that_the_check_knows(minutes):
    for notebook in CUTS[minutes].values():
        for cell in notebook.cells:
            if mark(cell, "likely"):
                exercise = find(mark(cell, "exercise"))
                known = {m.name for m in exercise.mistakes}
                assert len(set(mark(cell, "likely"))) == LIKELIEST
                for code in set(mark(cell, "likely")) - known:
                    assert "should have shape" in sentence(exercise, code), "else it has a name"


def test_a_likely_mistake_of_shape_is_told_as_the_check_tells_it(tmp_path, monkeypatch):
    monkeypatch.setenv("BNLAB_HOME", str(tmp_path))
    notebook = copy.deepcopy(CUTS[45]["00_start_here"])
    (stub,) = [c for c in notebook.cells if mark(c, "exercise") == "feature_means"]
    stub.metadata.bnlab["likely"] = ["x.mean(axis=1)", "x.mean()", "divided_by_features"]
    text = html.unescape(schedule({"00_start_here": notebook}, 45))
    opened = re.sub("<details>.*?</details>", "", text, flags=re.DOTALL)
    told = re.findall("<li>(.*?)</li>", opened.partition("<h4>feature_means</h4>")[2])[:LIKELIEST]
    asked = "means should have shape (3,), yours has"
    assert told[:2] == [
        f"x.mean(axis=1): {asked} (5,). Does `mean` run over the other axis?",
        f"x.mean(): {asked} (). `mean` is called without axis=, so it runs over the whole array.",
    ]
    assert told[2].startswith("You divide by x.shape[1]")
    assert "7 more that the check knows" in text
    assert list(tmp_path.iterdir()) == [], "building a kit is not the instructor's progress"


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
    text = schedule(CUTS[minutes], minutes)
    start, breaks = 0, dict(BREAKS[minutes])
    for name, notebook in CUTS[minutes].items():
        start += breaks.get(name[:2], 0)
        for part in sections(notebook):
            clock = f"{start // 60}:{start % 60:02d}"
            number = "" if name == CLOSING else name[:2]
            cells = (clock, part.minutes, number, html.escape(part.title))
            assert "".join(f"<td>{cell}</td>" for cell in cells) in text
            start += part.minutes
    assert text.count("<td>break</td>") == len(breaks)
    assert f"take {start - sum(breaks.values())} of the {minutes} minutes" in text
    assert f"{minutes - start} are kept free" in text


@every_plan
def test_the_schedule_says_what_to_do_before_the_day(minutes):
    text = schedule(CUTS[minutes], minutes)
    before = text[text.index("Before the day") : text.index("When what begins")]
    for word in ("participants.zip", "INSTALL.txt", "bnlab doctor", "A week before", "--offline"):
        assert word in before
    assert before.count(f"<code>{START}</code>") == 2
    assert "Ten minutes before" in before
    assert "(1 minutes" not in text


@every_plan
def test_of_each_exercise_three_mistakes_are_open_and_all_others_folded(minutes):
    text = html.unescape(schedule(CUTS[minutes], minutes))
    folded = "".join(re.findall("<details>.*?</details>", text, re.DOTALL))
    opened = re.sub("<details>.*?</details>", "", text, flags=re.DOTALL)
    exercises = [e for n in CUTS[minutes].values() for p in sections(n) for e in p.exercises]
    for exercise in exercises:
        assert f"{exercise.name} ({exercise.minutes})" in text
        body = opened[opened.index(f"<h4>{exercise.name}</h4>") :]
        shown = re.search("<ul>(.*?)</ul>", body, re.DOTALL)[1].count("<li>")
        assert shown == min(LIKELIEST, len(exercise.mistakes))
        for mistake in exercise.mistakes:
            assert mistake.sentence in text
    assert "our guess at the likeliest" in opened
    assert bool(folded) == any(len(e.mistakes) > LIKELIEST for e in exercises)


def cut_tables(minutes):
    """Rows of the two tables below "What to cut first", as lists of texts."""
    text = schedule(CUTS[minutes], minutes)
    part = text[text.index("What to cut first") : text.index("What to say")]
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
    order = [(row[2], html.unescape(row[3])) for row in rows]
    plain = {m: {(number, bare(title)) for number, title in taken(m)} for m in PLANS}
    for shorter in (m for m in PLANS if m < minutes):
        keeps = [section in plain[shorter] for section in order]
        assert keeps == sorted(keeps), f"something of {shorter} minutes goes too early"
    kernel = plain[min(PLANS)]
    last = [("05", "Sort the test set")]
    assert sorted(order) == (sorted(plain[minutes] - kernel) if minutes > 45 else last)


# Hand-out


@every_plan
def test_the_handout_has_the_cards_of_the_workshop_and_the_pitfalls(minutes):
    text = html.unescape(handout(read_plan(minutes)))
    for name in COURSE:
        title = COURSE[name].cells[[c.source[:2] for c in COURSE[name].cells].index("# ")].source
        head = f"<h2>{name[:2]} {title.splitlines()[0][2:]}</h2>"
        assert (head in text) == (name in PLANS[minutes])
    assert text.count("The idea") == len(PLANS[minutes]) - 1
    assert "Next: " not in text
    pitfalls = [e.claim for name, e in ledger().items() if name.startswith("P")]
    assert [claim.id for claim in pitfalls] == [f"P{n}" for n in range(1, 29)]
    assert all(f"<b>{claim.id}</b> {claim.said}" in text for claim in pitfalls)


def test_the_handout_has_every_library():
    text = html.unescape(handout(read_plan(45)))
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
    text = handout(read_plan(45))
    text = text[text.index('class="back"') :]
    formulas = {name: formulas_of(thing) for name, thing in FORMULAS.items()}
    assert all(formulas.values())
    assert text.count("<math") == sum(map(len, formulas.values()))
    for found in formulas.values():
        assert all(html.escape(latex) in text for latex in found)


@every_plan
def test_pages_need_no_network(minutes):
    for text in (handout(read_plan(minutes)), schedule(CUTS[minutes], minutes)):
        addresses = set(re.findall(r"https?://[^\s\"'<]*", text))
        assert addresses <= {"http://www.w3.org/1998/Math/MathML"}
        assert not re.search("<script|<link|<img|@import|url\\(", text)


SMALLEST = """() => Math.min(...[...document.querySelectorAll('body *')]
    .filter(e => !e.closest('math') && e.innerText?.trim())
    .map(e => parseFloat(getComputedStyle(e).fontSize)))"""


@pytest.mark.slow
@every_plan
def test_the_printed_handout_is_one_sheet_of_a4_that_can_be_read(page, minutes):
    page.set_content(handout(read_plan(minutes)))
    content = page.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page\b", content)) == 2  # both sides
    width, height = map(float, re.search(rb"/MediaBox \[0 0 (\S+) (\S+)\]", content).groups())
    assert (width / 72 * 25.4, height / 72 * 25.4) == pytest.approx((210, 297), abs=0.5)
    assert page.evaluate(SMALLEST) * 72 / 96 >= 6.99  # points


WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


def offences(page, **rules):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    found = axe.run(page, None, {"runOnly": WCAG, "resultTypes": ["violations"], "rules": rules})
    return [violation["id"] for violation in found.response["violations"]]


@pytest.mark.slow
@every_plan
def test_axe_finds_nothing_on_the_pages_and_the_slides(page, minutes, tmp_path):
    write_slides(CUTS[minutes]["02_batchnorm_algorithm"], tmp_path / "slides.html")
    page.goto((tmp_path / "slides.html").as_uri())
    page.wait_for_function("window.Reveal && Reveal.isReady()")
    assert offences(page) == []
    page.emulate_media(media="print")  # all slides at once, those too that are hidden on a screen
    assert offences(page, **{"aria-hidden-focus": {"enabled": False}}) == []
    page.emulate_media(media="screen")
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 844})
        for text in (schedule(CUTS[minutes], minutes), handout(read_plan(minutes))):
            page.set_content(text)
            assert offences(page) == []


WIDER = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
BOXES = """() => [...document.querySelectorAll('.scrolls')].map(
    box => [box.tabIndex, box.ariaLabel, box.scrollWidth > box.clientWidth])"""


@pytest.mark.slow
@every_plan
def test_on_a_phone_only_a_table_is_wider_than_the_window_and_scrolls(page, minutes):
    page.set_viewport_size({"width": 390, "height": 844})
    for text in (schedule(CUTS[minutes], minutes), handout(read_plan(minutes))):
        page.set_content(text)
        assert page.evaluate(WIDER) == 0
        boxes = page.evaluate(BOXES)
        assert (
            len(boxes) == text.count('class="scrolls"') == text.count("<table>") + ("<dl>" in text)
        )
        assert all(index == 0 and name for index, name, _ in boxes)
        assert any(scrolls for *_, scrolls in boxes)


LEFT = """() => [...document.querySelectorAll('.cards li')].map(
    li => li.getBoundingClientRect().left - li.closest('.cards').getBoundingClientRect().left)"""


@pytest.mark.slow
def test_no_bullet_of_the_handout_is_cut_off(page):
    """A column clips what stands left of it; a bullet needs about one em."""
    page.set_content(handout(read_plan(90)))
    em = page.evaluate("parseFloat(getComputedStyle(document.querySelector('.cards')).fontSize)")
    assert min(page.evaluate(LEFT)) > 1.2 * em


# The folder


@pytest.fixture
def quick(monkeypatch):
    """Build without kernels and without a wheel; what is executed is noted."""
    executed = []
    monkeypatch.setattr(building.installing, "make_wheel", lambda folder: (folder / WHEEL).touch())
    monkeypatch.setattr(building, "execute", lambda notebook, name: executed.append(name))
    return executed


NAMES = {45: ["00_start_here", "02_batchnorm_algorithm", "05_test_time", CLOSING]}


@every_plan
def test_participants_get_no_outputs_below_their_questions(tmp_path, quick, monkeypatch, minutes):
    """As `bnlab lab` copies them; slides and instructors keep theirs."""
    monkeypatch.setattr(building, "write_slides", lambda notebook, file: file.touch())
    kit = build(tmp_path / "kit", minutes)
    cuts = copy.deepcopy(CUTS[minutes])
    lead_on(cuts)
    files = sorted((kit / "participants").glob("*.ipynb"))
    assert {file.stem for file in files} == {*cuts, *building.LOOK_UP}
    for file in files:
        notebook = json.loads(file.read_bytes())
        code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
        assert all((cell["outputs"], cell["execution_count"]) == ([], None) for cell in code)
        assert "language_info" not in notebook["metadata"]
        assert unopened(file.read_bytes()) == file.read_bytes()
        if file.stem in cuts:
            typed = [(cell["cell_type"], "".join(cell["source"])) for cell in notebook["cells"]]
            assert typed == [(cell.cell_type, cell.source) for cell in cuts[file.stem].cells]
    instructors = "".join(f.read_text("utf-8") for f in (kit / "instructor").glob("*.ipynb"))
    assert '"image/png"' in instructors
    assert '"text": ' in instructors


def tree(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_the_kit_has_everything(tmp_path, quick):
    kit = build(tmp_path / "kit", 45)
    names = NAMES[45]
    assert tree(kit) == sorted([
        "INSTALL.txt",
        "handout.html",
        "participants.zip",
        "participants/INSTALL.txt",
        f"participants/{WHEEL}",
        "participants/cheat_sheet.ipynb",
        "participants/glossary.ipynb",
        "schedule.html",
        *(f"instructor/{name}.ipynb" for name in names),
        *(f"participants/{name}.ipynb" for name in names),
        *(f"slides/{name}.html" for name in names),
    ])  # fmt: skip
    assert quick == names
    assert FROM_INDEX in (kit / "participants" / "INSTALL.txt").read_text(encoding="utf-8")
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


@pytest.mark.parametrize(
    ("stem", "told"),
    [("02_batchnorm_algorithm", ["95", "96", "91", "10"]), ("04_redundant_bias", ["26"])],
)
def test_the_numbers_of_the_closing_table_are_printed_by_their_notebook(stem, told):
    cells = COURSE[stem].cells
    (number,) = [n for cell in cells if (n := mark(cell, "workshop_number"))]
    outputs = [o for cell in cells for o in cell.get("outputs", []) if "text" in o]
    printed = [float(n) for o in outputs for n in re.findall(r"\d+\.\d+", o.text)]
    for value in told:
        assert re.search(rf"\b{value}\b", number)
        assert min(abs(n - float(value)) for n in printed) <= 0.5
