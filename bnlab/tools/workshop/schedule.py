"""The instructor's schedule: before the day, when what begins, what to cut, and what to say."""

from html import escape
from itertools import accumulate

from bnlab.tools.workshop.closing import CLOSING
from bnlab.tools.workshop.formulas import render_markdown
from bnlab.tools.workshop.installing import START
from bnlab.tools.workshop.likely import sentence
from bnlab.tools.workshop.pages import page, scrolling, table
from bnlab.tools.workshop.plans import BREAKS, SCRIPT, mark, parts_of

__all__ = ["LIKELIEST", "schedule"]

LIKELIEST = 3
STYLE = """
body { max-width: 58em; margin: 2em auto; padding: 0 1em; line-height: 1.4; }
.times td:nth-child(1), .times td:nth-child(2) { white-space: nowrap; }
h3, h4, .note { margin: .8em 0 .2em; } .note p { margin: 0; }
ul, ol { margin: .2em 0 .8em; padding-left: 1.3em; }
h4 { margin-top: 1.2em; }
.note, .mail { border-left: 4px solid #57606a; padding-left: .8em; }
.script { display: grid; grid-template-columns: 7.5em auto; gap: .3em .8em; margin: .4em 0 .8em; }
.script dt { font-weight: 600; } .script dd, .script p { margin: 0; }
summary { cursor: pointer; }
@page { size: A4; margin: 15mm; }
@media print {
  body { max-width: none; margin: 0; padding: 0; font-size: 9pt; }
  h2, h3, h4, .keep { break-after: avoid; } tr, li, .script > * { break-inside: avoid; }
  details { display: none; } h1, h2 { margin: .6em 0 .4em; } td, th { padding: .2em .5em; }
}
"""
MAIL = """<p>Dear participants,</p>
<p>in our workshop on batch normalization everybody writes code. Please prepare the computer that
you will bring, at home: the network of the room is not made for all of us at once. Unpack the
attached participants.zip and follow INSTALL.txt in it, up to the command <code>bnlab doctor</code>.
It takes about ten minutes and half a gigabyte of disk. If a line still says TO DO after you have
done what it says, answer this mail with that line.</p>
<p>You should have trained a neural network before, and be able to read Python and NumPy. Bring a
pencil. Please come ten minutes early and open the first notebook (<code>{start}</code>, step 4
of INSTALL.txt): we begin with it.</p>"""
KEPT = (
    "Never the vote at the end, and not what the shortest workshop is made of: only there the last "
    "section may go, if it has to be."
)
BEFORE = """<h2>Before the day</h2>
<p><b>A week before</b>, send participants.zip and this mail; add when, where, and your
name:</p>
<div class="mail">{mail}</div>
<p><b>The day before</b>, in the room:</p>
<ul>
<li>Unpack participants.zip on the computer of the room and follow its INSTALL.txt to the end; run
the notebook from top to bottom. It runs with nothing filled in, and has no outputs before: below a
question they would be its answer.</li>
<li>Open one file of <code>slides/</code> on the projector: arrow keys move, Escape shows all.</li>
<li>Print <code>handout.html</code>, one sheet for each participant, on both sides.</li>
<li>Bad wifi? Build the kit with <code>--offline</code>, on each kind of computer that people will
bring, and take it along on some USB sticks; INSTALL.txt says how to install from it.</li>
<li>Read the scripts below aloud once, with a clock.</li>
</ul>
<p><b>Ten minutes before</b>: on every screen stands the first notebook, by
<code>{start}</code>. If an installation fails,
two people share one computer; it is not mended in the time of the workshop.</p>"""


def schedule(notebooks, minutes):
    """Printable page about a workshop with these notebooks, name -> cut notebook."""
    sections = [
        (name[:2], part)
        for name, notebook in notebooks.items()
        for part in parts_of(notebook)
        if part.minutes
    ]
    pieces = [
        BEFORE.format(mail=MAIL.format(start=START), start=START),
        _timetable(sections, minutes),
        _cuts(sections),
    ]
    title = f"Batch normalization in {minutes} minutes"
    return page(title, "\n".join([*pieces, _by_section(sections)]), STYLE)


def _timetable(sections, minutes):
    used, rows, breaks = 0, [], dict(BREAKS[minutes])
    for notebook, part in sections:
        if notebook in breaks:
            rows.append([_clock(used), breaks[notebook], "", "break", ""])
            used += breaks.pop(notebook)
        exercises = ", ".join(f"{e.name} ({e.minutes})" for e in part.exercises)
        rows.append([_clock(used), part.minutes, _number(notebook), part.title, exercises])
        used += part.minutes
    if used < minutes:
        rows.append([_clock(used), minutes - used, "", "kept free", ""])
    columns = ["from", "minutes", "notebook", "section", "exercises (minutes, within the section)"]
    return (
        f"<h2>When what begins</h2>\n<p>{_room(used, minutes)}</p>\n"
        f'<div class="times">{scrolling("Timetable", table(columns, rows))}</div>'
    )


def _room(used, minutes):
    """How much of the time the sections take, and what that means for the pauses."""
    breaks = sum(BREAKS[minutes].values())
    pauses = f"breaks take {breaks}" if breaks else "there is no break"
    return (
        f"The sections take {used - breaks} of the {minutes} minutes, {pauses}, and "
        f"{minutes - used} are kept free for questions. If you are late, the next two tables say "
        "what to cut."
    )


def _cuts(sections):
    """Two ways to win time: exercises that people do at home, and sections that nobody sees.

    Both in what a shorter workshop does without; in the shortest one, in its last section.
    """
    sections = [(notebook, part) for notebook, part in sections if notebook != CLOSING[:2]]
    spare = [pair for pair in sections if _shortest_plan(pair[1]) > min(BREAKS)] or sections[-1:]
    exercises = [(notebook, e) for notebook, part in spare for e in part.exercises]
    hardest = sorted(exercises, key=lambda pair: (-pair[1].difficulty, -pair[1].minutes))
    first = [(e.minutes, number, e.name, "●" * e.difficulty) for number, e in hardest]
    # Stable sort: of the sections of one plan the last one goes first.
    spare = sorted(spare[::-1], key=lambda pair: _shortest_plan(pair[1]), reverse=True)
    then = [(part.minutes, number, part.title) for number, part in spare]
    head = ["minutes", "won so far", "notebook"]
    easy = table([*head, "exercise", "difficulty"], _with_sums(first))
    whole = table([*head, "section"], _with_sums(then))
    return (
        f"<h2>What to cut first</h2>\n<p>{KEPT}</p>\n"
        '<p class="keep">Leave exercises for home, the hardest and longest first, and show '
        "<code>solution(name)</code> instead:</p>\n"
        + scrolling("Exercises to leave for home", easy)
        + '\n<p class="keep">Or leave out whole sections, the last one first. Run their code all '
        "the same; later cells may use it. Their minutes include those of their exercises:</p>\n"
        + scrolling("Sections to leave out", whole)
    )


def _shortest_plan(part):
    return min(mark(part.cells[0], "plans"))


def _with_sums(rows):
    """Put behind the minutes, with which each row begins, their sum up to there."""
    sums = accumulate(minutes for minutes, *_ in rows)
    return [[minutes, won, *rest] for (minutes, *rest), won in zip(rows, sums, strict=True)]


def _by_section(sections):
    """Per section the instructor's note, the scripts, and where people get stuck."""
    intro = (
        "<p>For each question and exercise there is a script of about 90 seconds. The three "
        "mistakes below it are our guess at the likeliest; nobody has counted. The check knows "
        "more, and names the one that it sees. (A wrong shape it tells as such, often with the "
        "cause.)</p>"
    )
    return "<h2>What to say, and where people get stuck</h2>\n" + intro + "\n".join(
        map(_section, sections)
    )  # fmt: skip


def _section(section):
    notebook, part = section
    title = f"{_number(notebook)} {part.title}".strip()
    pieces = [f"<h3>{escape(title)} ({_minutes(part.minutes)})</h3>"]
    if part.note:
        pieces.append(f'<div class="note">{render_markdown(part.note)}</div>')
    exercises = iter(part.exercises)
    for cell in part.cells:
        exercise = next(exercises) if mark(cell, "exercise") else None
        if exercise or mark(cell, "script"):
            pieces.append(f"<h4>{exercise.name if exercise else escape(part.title)}</h4>")
            pieces.append(_script(mark(cell, "script")))
        if exercise:
            pieces.append(_mistakes(exercise, mark(cell, "likely")))
    return "\n".join(pieces)


def _script(script):
    lines = [
        f"<dt>{label}</dt><dd>{render_markdown(script[part])}</dd>"
        for part, label in SCRIPT.items()
    ]
    return f"<dl class='script'>{''.join(lines)}</dl>"


def _mistakes(exercise, likely):
    """The likeliest mistakes, as the notebook says or the first of the table; all others folded."""
    first = likely or [mistake.name for mistake in exercise.mistakes[:LIKELIEST]]
    others = [mistake.sentence for mistake in exercise.mistakes if mistake.name not in first]
    pieces = [_listed(sentence(exercise, mistake) for mistake in first)]
    if others:
        pieces.append(
            f"<details><summary>{len(others)} more that the check knows</summary>"
            f"{_listed(others)}</details>"
        )
    return "\n".join(pieces)


def _listed(sentences):
    return f"<ul>{''.join(f'<li>{escape(said)}</li>' for said in sentences)}</ul>"


def _number(notebook):
    """The notebook as the course numbers it; the last one of a workshop has no number there."""
    return "" if notebook == CLOSING[:2] else notebook


def _minutes(count):
    return "1 minute" if count == 1 else f"{count} minutes"


def _clock(minutes):
    """Hours and minutes since the start: 75 gives 1:15."""
    return f"{minutes // 60}:{minutes % 60:02}"
