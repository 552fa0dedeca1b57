"""What the pages of the site take from the course: the notebooks, one check, the ledger."""

import functools
import inspect
import json
import os
import re
import tempfile
import textwrap
from collections import Counter
from unittest import mock

import browser
import taste

from bnlab import plots
from bnlab.course import check, claim
from bnlab.course.experiments.evidence import VERDICTS, Experiment
from bnlab.course.experiments.ledger import ledger
from bnlab.course.experiments.record import at_both_scales
from bnlab.course.experiments.results import evidence_of
from bnlab.course.explore import exploring, showing
from bnlab.data import course_files

TIME = re.compile(r"(\d+) minutes of reading, (\d+) minutes of exercises")
WIDGET = "application/vnd.jupyter.widget-view+json"


def notebooks():
    """Path -> cells, of each notebook of the course."""
    paths = sorted((course_files() / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    return {path: json.loads(path.read_text(encoding="utf-8"))["cells"] for path in paths}


def opening(cells):
    """Title, minutes of reading and minutes of exercises, from a notebook's first cell."""
    text = "".join(cells[0]["source"])
    reading, exercises = TIME.search(text).groups()
    return text.splitlines()[0].removeprefix("# "), int(reading), int(exercises)


def course_list():
    """The notebooks for the side bar, with their numbers."""
    return "\n".join(
        f"{path.stem[:2]} {opening(cells)[0]} <notebooks/{path.stem}>"
        for path, cells in notebooks().items()
    )


def course_table():
    """The notebooks with their minutes, in Markdown."""
    lines = ["| | notebook | reading | exercises |", "|---|---|--:|--:|"]
    for path, cells in notebooks().items():
        title, reading, exercises = opening(cells)
        link = f"[{title}](notebooks/{path.name})"
        lines.append(f"| {path.stem[:2]} | {link} | {reading} min | {exercises} min |")
    return "\n".join(lines)


def shown(text, stem):
    """The text of a notebook as the site shows it: with ways to get it, without widgets.

    The output above a widget has the exploration, which needs no kernel.
    """
    notebook = json.loads(text)
    title, *rest = "".join(notebook["cells"][0]["source"]).splitlines(keepends=True)
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    download = f"\n{{download}}`Download this notebook <{stem}.ipynb>`\n"
    opened = f"\n{browser.line(stem, code)}\n" if code and browser.is_possible() else ""
    notebook["cells"][0]["source"] = "".join([title, download, opened, elsewhere(stem), *rest])
    for cell in (cell for cell in notebook["cells"] if "outputs" in cell):
        cell["outputs"] = [o for o in cell["outputs"] if WIDGET not in o.get("data", {})]
        for data in (o["data"] for o in cell["outputs"] if "text/html" in o.get("data", {})):
            data["text/html"] = to_pages("".join(data["text/html"]))
    return json.dumps(notebook)


def to_pages(output):
    """HTML of an output, whose links to notebooks, as of `progress`, lead to their pages."""
    return re.sub(r'(?<=<a href=")(\w+)\.ipynb(?=")', r"\1.html", output)


# The public address, which is known only where GitHub builds the site


def repository():
    """Where the repository can be seen, or None."""
    name = os.environ.get("GITHUB_REPOSITORY")
    return f"https://github.com/{name}" if name else None


def elsewhere(stem):
    """Links to this notebook on other machines."""
    if repository() is None:
        return ""
    file = f"{repository()}/blob/main/notebooks/{stem}.ipynb"
    colab = file.replace("github.com", "colab.research.google.com/github", 1)
    return f"\nAlso [on GitHub]({file}) and [in Colab]({colab}).\n"


def clone():
    """How to get the repository."""
    where = repository()
    return f"Type `git clone {where}.git`" if where else "Clone the repository"


# The explorations


def exploration(name):
    """An exploration in its first state, in HTML."""
    plots.use_style()
    found = exploring.exploration(name)
    return showing.page_html(found, found.state)


def write_explorations(folder):
    """Write their modules, their style and what they read, for _static/explore.js."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "explore.css").write_text(showing.style(), encoding="utf-8")
    for found in map(exploring.exploration, exploring.names()):
        (folder / f"{found.name}.js").write_text(found.module, encoding="utf-8")
        (folder / f"{found.name}.json").write_text(json.dumps(found.data()), encoding="utf-8")


# One check


def taste_code():
    """A learner's function with a mistake in it, and the call that checks it."""
    source = textwrap.dedent(inspect.getsource(taste.batchnorm_forward))
    return f'```python\n{source}\n\ncheck("batchnorm_forward", batchnorm_forward)\n```'


def taste_answer():
    """What `check` says to it: computed now, in a home of its own, and shown as in a notebook."""
    with tempfile.TemporaryDirectory() as home, mock.patch.dict(os.environ, BNLAB_HOME=home):
        report = check("batchnorm_forward", taste.batchnorm_forward)
    return f'<div class="text_html">{report._repr_html_()}</div>'


# The ledger


def found():
    """Claim id -> (evidence, how), as the last cells of notebook 08 have it."""
    return {name: evidence_of(entry) for name, entry in ledger().items()}


def plain(text):
    """Text that Markdown leaves as it is."""
    return re.sub(r"([\\`*_$<>\[\]{}|#^~])", r"\\\1", text)


def verdicts_table():
    """How often each verdict was given, in Markdown."""
    counts = Counter(evidence.verdict for evidence, _ in found().values())
    lines = ["| verdict | claims |", "|---|--:|"]
    return "\n".join(lines + [f"| {verdict} | {counts[verdict]} |" for verdict in VERDICTS])


def draw_claims(folder):
    """Write the figure of each experiment, ID.png; the same as in the notebooks."""
    import matplotlib.pyplot as plt

    plots.use_style()
    folder.mkdir(exist_ok=True)
    for name, line in ledger().items():
        if isinstance(line, Experiment):
            figure = claim(name).draw().figure
            figure.savefig(folder / f"{name}.png", dpi=100)
            plt.close(figure)


def entry(name, evidence, how):
    """One claim as an item of a definition list: what is said, then what is true and why."""
    said = evidence.claim
    lines = [f"[**{name}**]{{#{name}}} {plain(said.said)}",
             f": **{evidence.verdict}.** {plain(said.correct)}"]  # fmt: skip
    if how != "source":
        lines.append(f": Run, {how}: {plain(evidence.setting or 'an identity, in float64')}")
        lines.extend(f": {k}. {plain(str(part))}" for k, part in enumerate(evidence.parts, 1))
        seen = plain(f"{name} in a figure. The claim: {said.said} Measured: {evidence.measured}")
        lines.append(f": ![{seen}](figures/{name}.png)")
    return "\n".join([*lines, f": Source: {plain(said.source)}"])


def ledger_text():
    """Every claim, under the notebook that teaches it."""
    parts, lines = [], found()
    for path, cells in notebooks().items():
        here = {n: line for n, line in lines.items() if line[0].claim.notebook == path.stem[:2]}
        if here:
            title = opening(cells)[0]
            parts.append(f"## {path.stem[:2]}: {title}\n\n[The notebook](notebooks/{path.name})")
            parts.extend(entry(name, *line) for name, line in here.items())
    return "\n\n".join(parts)


def scales_table():
    """The claims on the digits and on CIFAR-10, in Markdown."""
    return at_both_scales()._repr_markdown_()


def in_your_browser():
    """The browser edition in words, if this site has one."""
    return browser.summary() if browser.is_possible() else "This copy of the site has none."


PLACES = {
    "<!-- side bar -->": course_list,
    "<!-- the notebooks -->": course_table,
    "<!-- clone -->": clone,
    "<!-- a wrong answer -->": taste_code,
    "<!-- what check says -->": taste_answer,
    "<!-- verdicts -->": verdicts_table,
    "<!-- at both scales -->": scales_table,
    "<!-- the ledger -->": ledger_text,
    "<!-- in your browser -->": in_your_browser,
    **{f"<!-- explore {name} -->": functools.partial(exploration, name)
       for name in exploring.names()},
}  # fmt: skip
