"""The instructor's schedule: when what begins, what to cut first, and where people get stuck."""

from html import escape
from itertools import accumulate

from bnlab.tools.workshop.pages import page, table
from bnlab.tools.workshop.plans import PLANS, parts_of

__all__ = ["schedule"]

STYLE = """
body { max-width: 58em; margin: 2em auto; padding: 0 1em; line-height: 1.4; }
td:nth-child(1), td:nth-child(2) { white-space: nowrap; }
h3, h4, .note { margin: .8em 0 .2em; } ul { margin: .2em 0 .8em; padding-left: 1.3em; }
.note { border-left: 4px solid #57606a; padding-left: .8em; }
@page { size: A4; margin: 15mm; }
@media print {
  body { max-width: none; margin: 0; padding: 0; font-size: 8.8pt; }
  h2, h3, h4, .keep { break-after: avoid; } tr, li { break-inside: avoid; }
  .stuck { columns: 2; column-gap: 8mm; }
}
"""


def schedule(notebooks, minutes):
    """Printable page about a workshop with these notebooks, name -> whole notebook."""
    sections = [
        (name[:2], part)
        for name, notebook in notebooks.items()
        for part in parts_of(notebook)
        if part.kind == "core"
    ]
    pieces = [_timetable(sections, minutes), _cuts(sections), _stuck(sections)]
    return page(f"Batch normalization in {minutes} minutes", "\n".join(pieces), STYLE)


def _timetable(sections, minutes):
    used, rows = 0, []
    for notebook, part in sections:
        exercises = ", ".join(f"{e.name} ({e.minutes})" for e in part.exercises)
        rows.append([_clock(used), part.minutes, notebook, part.title, exercises])
        used += part.minutes
    rows.append([_clock(used), minutes - used, "", "room for questions and breaks", ""])
    columns = ["from", "minutes", "notebook", "section", "exercises (minutes, within the section)"]
    return f"<p>{_room(used, minutes)}</p>\n{table(columns, rows)}"


def _room(used, minutes):
    """How much of the time the sections take, and what that means for the pauses."""
    left = minutes - used
    return (
        f"The sections take {used} of the {minutes} minutes; {left} are left for questions and "
        "breaks. The times below run on without a pause: take those minutes where your room needs "
        "them, and if you want more of them, cut as the next two tables say."
    )


def _cuts(sections):
    """Two ways to win time: exercises that people do at home, and sections that nobody sees."""
    exercises = [(notebook, e) for notebook, part in sections for e in part.exercises]
    hardest = sorted(exercises, key=lambda pair: (-pair[1].difficulty, -pair[1].minutes))
    first = [(e.minutes, number, e.name, "●" * e.difficulty) for number, e in hardest]
    # Stable sort: among the notebooks of one plan the last section goes first.
    spare = sorted(sections[::-1], key=lambda pair: _shortest_plan(pair[0]), reverse=True)
    then = [(part.minutes, number, part.title) for number, part in spare]
    return (
        "<h2>What to cut first</h2>\n"
        '<p class="keep">Leave exercises for home, the hardest and longest first, and show '
        "<code>solution(name)</code> instead.</p>\n"
        + table(["minutes", "won so far", "notebook", "exercise", "difficulty"], _with_sums(first))
        + '\n<p class="keep">Leave out whole sections: first the notebooks that a shorter workshop '
        "does without, in each of them the last section first. Run the code of such a section all "
        "the same; later cells may use it.</p>\n"
        + table(["minutes", "won so far", "notebook", "section"], _with_sums(then))
    )


def _shortest_plan(notebook):
    return min(minutes for minutes, chosen in PLANS.items() if notebook in chosen)


def _with_sums(rows):
    """Put behind the minutes, with which each row begins, their sum up to there."""
    sums = accumulate(minutes for minutes, *_ in rows)
    return [[minutes, won, *rest] for (minutes, *rest), won in zip(rows, sums, strict=True)]


def _stuck(sections):
    """Per section the instructor's note, and the mistakes that its checks know."""
    intro = "<p>Each check knows these mistakes, and says which one a wrong answer is.</p>"
    return "<h2>Where people get stuck</h2>\n" + intro + "\n".join(map(_mistakes, sections))


def _mistakes(section):
    notebook, part = section
    pieces = [f"<h3>{notebook} {escape(part.title)} ({part.minutes} minutes)</h3>"]
    if part.note:
        pieces.append(f'<p class="note">{escape(part.note)}</p>')
    for exercise in part.exercises:
        sentences = "".join(f"<li>{escape(m.sentence)}</li>" for m in exercise.mistakes)
        pieces.append(f"<h4>{exercise.name}</h4>\n<ul class='stuck'>{sentences}</ul>")
    return "\n".join(pieces)


def _clock(minutes):
    """Hours and minutes since the start: 75 gives 1:15."""
    return f"{minutes // 60}:{minutes % 60:02}"
