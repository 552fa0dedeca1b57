"""`workshop.slides`: a notebook as one file of slides that needs nothing from outside."""

import functools
import re
import sys
import tempfile
from html import escape
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from bnlab.course import explore
from bnlab.course.explore.exploring import exploration, names
from bnlab.data import course_files
from bnlab.tools.doctor import MissingPackage
from bnlab.tools.workshop import slides
from bnlab.tools.workshop.formulas import mathml, render_markdown
from bnlab.tools.workshop.slides import cut, write_slides

NOTEBOOKS = sorted(Path(course_files(), "notebooks").glob("[0-9][0-9]_*.ipynb"))
every_notebook = pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem[:2])


class Reader(HTMLParser):
    """What a page asks for, what it shows as text, and how often each tag begins."""

    VOID = ("meta", "link", "img", "br", "hr", "input")

    def __init__(self, page):
        super().__init__()
        self.asked, self.tags, self.open = [], [], []
        self.text, self.prose, self.inside = "", "", {"script": [], "style": []}
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        if tag != "a":
            wanted = ("src", "srcset", "href", "data", "poster")
            self.asked += [value for name, value in attributes if name in wanted]
        self.asked += re.findall(r"url\(([^)]*)\)", dict(attributes).get("style") or "")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        for tag in ("script", "style"):
            if tag in self.open:
                self.inside[tag].append(data)
                return
        self.text += data
        if not {"pre", "code", "math"} & set(self.open):
            self.prose += data


@functools.cache
def deck(file):
    """The slides of a notebook file, as text."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder, "slides.html")
        write_slides(nbformat.read(file, 4), page)
        return page.read_text(encoding="utf-8")


def sources(notebook, kind):
    return [cell.source for cell in notebook.cells if cell.cell_type == kind]


def outputs(notebook, kind):
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [o for cell in cells for o in cell.outputs if kind in o.get("data", {})]


def formulas(text):
    """Formulas between one or two dollar signs, found in another way than the one under test."""
    text = re.sub(r"^```.*?^```|`[^`]*`", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"\$\$.+?\$\$|\$[^$]+\$", text, re.DOTALL)


# The notebooks of the course


@every_notebook
def test_a_deck_asks_for_nothing_outside(file):
    reader = Reader(deck(file))
    assert reader.open == []
    assert [url[:40] for url in reader.asked if not url.startswith("data:image/")] == []
    assert re.findall(r"url\((?!data:)|@import", "".join(reader.inside["style"])) == []
    assert len(reader.inside["script"]) == reader.tags.count("script") == 2
    assert "link" not in reader.tags


@every_notebook
def test_every_formula_becomes_mathml(file):
    notebook = nbformat.read(file, 4)
    reader = Reader(deck(file))
    wanted = sum(len(formulas(source)) for source in sources(notebook, "markdown"))
    assert reader.tags.count("math") == wanted
    assert re.findall(r".{,30}[$\\].{,30}", reader.prose) == []


@every_notebook
def test_headings_code_figures_and_printed_lines_are_all_there(file):
    notebook = nbformat.read(file, 4)
    reader = Reader(deck(file))
    text = " ".join(reader.text.split())
    headings = re.findall(r"^##? ", "\n".join(sources(notebook, "markdown")), re.MULTILINE)
    assert len(cut(notebook)) == len(headings) > 3
    for cell in notebook.cells:
        imported = cell.cell_type == "code" and "import " in cell.source
        if cell.cell_type == "code" and not imported:
            seen = cell.source.replace("# fmt: skip", "")
            assert " ".join(seen.split()) in text
    code = "".join(re.findall(r'<div class="highlight">.*?</div>', deck(file), re.DOTALL))
    assert not re.search(
        r"^(import (numpy|matplotlib)|from bnlab)\b", Reader(code).text, re.MULTILINE
    )
    assert "import torch" not in Reader(code).text
    stills = sum("<img" in o.data["text/html"] for o in outputs(notebook, "text/html"))
    assert reader.tags.count("img") == len(outputs(notebook, "image/png")) + stills > 0
    printed = [o.text for c in notebook.cells for o in c.get("outputs", []) if "text" in o]
    assert all(" ".join(lines.split()) in text for lines in printed)


# Where a slide begins


def test_a_heading_begins_a_stack_and_a_cell_or_a_smaller_heading_a_slide():
    cells = [
        new_markdown_cell("# Course\n\nhello"),
        new_markdown_cell("## One\n\ntext\n\n### Part\n\nmore\n\n```\n## no heading\n```"),
        new_code_cell("1 + 1"),
        new_markdown_cell("## Two\n\n### Under it\n\ntext"),
        new_code_cell("  "),
    ]
    notebook = new_notebook(cells=cells)
    stacks = [[Reader(slide).text.split()[0] for slide in stack] for stack in cut(notebook)]
    assert stacks == [["Course"], ["One", "Part", "1"], ["Two"]]


def test_an_exercise_and_its_check_stand_below_the_question():
    cells = [
        new_markdown_cell("## Ask"),
        new_code_cell("answer = ...", metadata={"bnlab": {"exercise": "answer"}}),
        new_code_cell("check(answer)", metadata={"bnlab": {"check": "answer"}}),
        new_code_cell("print(1)"),
    ]
    notebook = new_notebook(cells=cells)
    ((question, after),) = cut(notebook)
    assert Reader(question).text.split() == ["Ask", "answer", "=", "...", "check(answer)"]
    assert Reader(after).text.split() == ["print(1)"]


def test_text_stands_below_the_output_that_it_explains():
    printed = [new_output("stream", text="1\n")]
    cells = [
        new_markdown_cell("## Ask\n\npredict"),
        new_code_cell("print(1)", outputs=printed),
        new_markdown_cell("one"),
        new_markdown_cell("apart"),
        new_code_cell("x = 2"),
        new_markdown_cell("next"),
        new_code_cell("print(1)", outputs=printed),
        new_markdown_cell("### New"),
    ]
    (stack,) = cut(new_notebook(cells=cells))
    assert [" ".join(Reader(slide).text.split()) for slide in stack] == [
        "Ask predict", "print(1) 1 one", "apart", "x = 2", "next", "print(1) 1", "New"
    ]  # fmt: skip


def test_a_link_to_another_notebook_is_its_words_on_a_slide():
    text = "See [the glossary](glossary.ipynb#mean) and [a page](https://example.org)."
    ((slide,),) = cut(new_notebook(cells=[new_markdown_cell(text)]))
    assert Reader(slide).text.strip() == "See the glossary and a page."
    assert "ipynb" not in slide
    assert 'href="https://example.org"' in slide


def test_the_title_is_the_first_heading_and_is_escaped(tmp_path):
    notebook = new_notebook(cells=[new_markdown_cell("hello\n\n# Why x < y")])
    write_slides(notebook, tmp_path / "slides.html")
    assert "<title>Why x &lt; y</title>" in (tmp_path / "slides.html").read_text()


# Outputs


def shown(**data):
    """An output with these forms; `_` stands for `/`."""
    return new_output("display_data", {kind.replace("_", "/"): form for kind, form in data.items()})


@pytest.mark.parametrize(
    ("output", "text", "tags"),
    [
        (new_output("stream", text="a < b\n"), "a < b", ["pre"]),
        (new_output("stream", text="\x1b[31mred\x1b[0m"), "red", ["pre", "span"]),
        (new_output("error", traceback=["\x1b[31mKeyError\x1b[0m: 1"]), "KeyError: 1", ["pre"]),
        (shown(text_html="<b>rich</b>", text_plain="plain"), "rich", ["b"]),
        (shown(text_plain="plain", text_markdown="*rich*"), "rich", ["em"]),
        (new_output("execute_result", {"text/plain": "[1, <2>]"}), "[1, <2>]", ["pre"]),
        (shown(image_png="QUJD\n", text_plain="<Figure>"), "", ["img"]),
        (new_output("display_data", {"image/svg+xml": "<svg></svg>"}), "", ["svg"]),
        (new_output("display_data", {slides.WIDGET: {}, "text/plain": "interactive"}), "", []),
        (shown(application_other="1"), "", []),
    ],
)
def test_the_richest_form_of_an_output_is_shown(output, text, tags):
    ((slide,),) = cut(new_notebook(cells=[new_code_cell("0", outputs=[output])]))
    reader = Reader(slide.partition("</div>")[2])
    assert reader.text.strip() == text
    assert set(tags) <= set(reader.tags)
    assert bool(reader.tags) == bool(tags)


def test_a_picture_is_embedded_with_its_text():
    metadata = {"mystnb": {"image": {"alt": "two <lines>"}}}
    output = shown(image_png="QUJD\nREVG\n")
    ((slide,),) = cut(new_notebook(cells=[new_code_cell("0", outputs=[output], metadata=metadata)]))
    assert Reader(slide).asked == ["data:image/png;base64,QUJDREVG"]
    assert '<img alt="two &lt;lines&gt;" ' in slide


@pytest.mark.parametrize("name", names())
def test_an_exploration_is_its_still_with_its_words_on_a_slide(name, monkeypatch):
    outputs = []
    monkeypatch.setattr(
        "IPython.display.display",
        lambda data, **how: outputs.append(new_output("display_data", data)),
    )
    explore(name)._ipython_display_()
    cells = [new_markdown_cell("## Move it"), new_code_cell("explore()", outputs=outputs)]
    ((_, slide),) = cut(new_notebook(cells=cells))
    found, reader = exploration(name), Reader(slide)
    assert reader.tags.count("img") == slide.count(f'alt="{escape(found.alt)}"') == 1
    assert [url.partition(",")[0] for url in reader.asked] == ["data:image/png;base64"]
    assert found.first in reader.text
    assert found.seen in reader.text


def test_cells_that_make_the_tools_ready_are_no_slides():
    output = new_output("stream", text="1\n")
    cells = [
        new_code_cell("import numpy as np\nfrom a import b  # noqa: F401\n\nx = b()"),
        new_code_cell("try:\n    import a\nexcept: raise", metadata={"bnlab": {"guard": True}}),
        new_code_cell(
            "from a import (\n    b,\n    c,\n)\n\nprint(b)  # noqa: T201", outputs=[output]
        ),
    ]
    ((slide,),) = cut(new_notebook(cells=cells))
    assert Reader(slide).text.split() == ["print(b)", "1"]


@pytest.mark.parametrize(
    "note", ["  # noqa: E501", "  # fmt: skip", "  # noqa", "\n# fmt: off", "\n    # fmt: on"]
)
def test_a_note_for_a_linter_or_a_formatter_is_not_on_a_slide(note):
    source = f'draw("# fmt", 1)  # a figure{note}\nprint(1)'
    ((slide,),) = cut(new_notebook(cells=[new_code_cell(source)]))
    text = Reader(slide).text
    assert " ".join(text.split()) == 'draw("# fmt", 1) # a figure print(1)'


@pytest.mark.parametrize(
    "data",
    [
        {"text/html": 'Next: <b>x</b>, in <a class="n" href="00_start_here.ipynb">notebook 00</a>'
                      ' or <a href="https://example.org">a page</a>.'},
        {"text/markdown": "Next: **x**, in [notebook 00](00_start_here.ipynb) or "
                          "[a page](https://example.org)."},
    ],
    ids=["HTML", "Markdown"],
)  # fmt: skip
def test_a_link_to_a_notebook_in_an_output_is_its_words_too(data):
    output = new_output("display_data", data)
    ((slide,),) = cut(new_notebook(cells=[new_code_cell("0", outputs=[output])]))
    assert "Next: x, in notebook 00 or a page." in Reader(slide).text
    assert "ipynb" not in slide
    assert 'href="https://example.org"' in slide


@every_notebook
def test_a_deck_has_no_note_for_tools_and_no_link_to_a_notebook(file):
    text = Reader(deck(file)).text
    assert not re.search(r"# (fmt|noqa)\b", text)
    assert not re.search(r'href="[^"]*ipynb', deck(file))


@every_notebook
def test_every_figure_says_in_words_what_it_shows(file):
    assert 'alt="figure"' not in deck(file)
    assert 'alt=""' not in deck(file)


# Formulas


@pytest.mark.parametrize(
    ("latex", "part"),
    [
        (r"\mathbf{1}", '<mn style="font-weight: bold">1</mn>'),
        (r"\mathrm{E}[x]", "<mtext>E</mtext>"),
        (r"\texttt{running\_mean}", '<mtext style="font-family: monospace">running_mean</mtext>'),
        (r"\frac{a}{b}", "<mfrac>"),
        ("a < b", 'alttext="a &lt; b"'),
        ('"', 'alttext="&quot;"'),
    ],
)
def test_mathml(latex, part):
    assert part in mathml(latex)


def test_lines_of_an_aligned_formula_become_rows():
    element = mathml(r"\begin{aligned} a &= b \\ c &= d \end{aligned}", display=True)
    assert element.count("<mtr>") == 2
    assert element.count("text-align: right") == element.count("text-align: left") == 2
    assert 'display="block"' in element


@pytest.mark.parametrize(
    ("text", "display"),
    [("a $x$ b", "inline"), ("$$x$$", "block"), (r"\begin{align}x\end{align}", "block")],
)
def test_formulas_in_text_know_their_place(text, display):
    html = render_markdown(text)
    assert html.count("<math") == html.count(f'display="{display}"') == 1


def test_a_command_that_mathml_lacks_is_named(tmp_path):
    notebook = new_notebook(cells=[new_markdown_cell(r"$\unheardof{x}$")])
    with pytest.raises(ValueError, match=r"may use commands that MathML has, got .*unheardof"):
        write_slides(notebook, tmp_path / "slides.html")


@pytest.mark.parametrize(
    ("module", "package"),
    [
        ("latex2mathml.converter", "latex2mathml"),
        ("sphinx_revealjs", "sphinx-revealjs"),
        ("nbconvert.filters", "nbconvert"),
    ],
)
def test_a_missing_package_gets_a_sentence(module, package, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    output = new_output("stream", text="printed")
    cells = [new_markdown_cell("$x$"), new_code_cell("0", outputs=[output])]
    sentence = rf'{package} is not installed.* pip install -e "\.\[workshop\]"'
    with pytest.raises(MissingPackage, match=sentence):
        write_slides(new_notebook(cells=cells), tmp_path / "slides.html")
    assert not (tmp_path / "slides.html").exists()


# In a browser


def opened(page, file):
    """Open the slides in the browser and wait until they stand."""
    page.goto(file.as_uri())
    page.wait_for_function("window.Reveal && Reveal.isReady()")
    return page


def place(page):
    """How many slides lie before the one that is shown."""
    return page.evaluate("Reveal.getSlidePastCount()")


MEASURE = """() => [...document.querySelectorAll('.slides > section > section')].map(slide => ({
    seen: slide.checkVisibility({opacityProperty: true, visibilityProperty: true}),
    height: slide.clientHeight, left: slide.scrollHeight - slide.clientHeight,
    wide: slide.scrollWidth - slide.clientWidth, text: slide.innerText,
    font: parseFloat(slide.style.fontSize || '100')}))"""


def measured(page):
    """The slides as they are printed: all at once, one below the other."""
    page.emulate_media(media="print")
    return page.evaluate(MEASURE)


@pytest.mark.slow
@every_notebook
def test_in_a_browser_every_slide_fits_and_every_formula_is_drawn(file, tmp_path, page):
    (tmp_path / "slides.html").write_text(deck(file), encoding="utf-8")
    found = measured(opened(page, tmp_path / "slides.html"))
    assert len(found) > sum(map(len, cut(nbformat.read(file, 4)))) / 2
    assert {(slide["seen"], slide["height"]) for slide in found} == {(True, 720)}
    assert [s["text"][:60] for s in found if s["left"] > 0 or s["wide"] > 0] == []
    repeated = page.locator(":has(> math)", has_text="(continued)").locator("math").count()
    heights = page.locator("math").evaluate_all("all => all.map(m => m.clientHeight)")
    assert len(heights) - repeated == deck(file).count("<math ")
    assert min(heights) > 0
    widths = page.locator("img").evaluate_all("all => all.map(img => img.naturalWidth)")
    assert min(widths) > 100
    assert (page.outside, page.errors) == ([], [])


@pytest.mark.slow
def test_keys_space_a_click_and_a_swipe_move(tmp_path, page):
    (tmp_path / "slides.html").write_text(deck(NOTEBOOKS[2]), encoding="utf-8")
    opened(page, tmp_path / "slides.html")
    heading = page.locator("section.present section.present").first
    assert "Write batch norm and place it" in heading.inner_text()
    for step, key in enumerate(["ArrowRight", "Space", "PageDown", "ArrowRight"], start=1):
        page.keyboard.press(key)
        assert place(page) == step
    assert "Write batch norm and place it" not in heading.inner_text()
    page.keyboard.press("ArrowLeft")
    assert place(page) == 3
    page.locator("button.navigate-right").click()
    assert place(page) == 4
    swipe = page.context.new_cdp_session(page)
    for kind, x in [("touchStart", 900), ("touchMove", 500), ("touchMove", 300), ("touchEnd", 0)]:
        points = [{"x": x, "y": 400}] * (kind != "touchEnd")
        swipe.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    page.wait_for_function("Reveal.getSlidePastCount() == 5")


@pytest.mark.slow
def test_arrow_keys_and_the_printer_reach_every_slide(tmp_path, page):
    (tmp_path / "slides.html").write_text(deck(NOTEBOOKS[0]), encoding="utf-8")
    opened(page, tmp_path / "slides.html")
    total = page.evaluate("Reveal.getTotalSlides()")
    seen = [place(page)]
    for _ in range(total):
        page.keyboard.press("ArrowRight")
        seen.append(place(page))
    assert seen == [*range(total), total - 1]
    for own_size in (True, False):  # on pages as the slides want them, or as a printer has them
        printed = page.pdf(prefer_css_page_size=own_size)
        assert len(re.findall(rb"/Type */Page\b", printed)) == total
        assert (b"/MediaBox [0 0 960 540]" in printed) == own_size


LIST = "\n".join(f"- point {n}" for n in range(12))


@pytest.mark.slow
@pytest.mark.parametrize("title", ["**Where people go wrong**", "The accuracy:", "Which is it?"])
@pytest.mark.parametrize("above", range(4, 15, 2))
def test_a_list_is_never_parted_from_its_title(title, above, tmp_path, page):
    text = "\n\n".join([*["words"] * above, title, LIST])
    write_slides(new_notebook(cells=[new_markdown_cell(text)]), tmp_path / "slides.html")
    words = title.strip("*")
    found = [slide["text"] for slide in measured(opened(page, tmp_path / "slides.html"))]
    with_points = [text for text in found if "point" in text]
    assert with_points
    assert all(words in text for text in with_points)
    assert not any(text.rstrip().endswith(words) for text in found)


LONG = {
    "paragraphs": "\n\n".join(f"w{n} is a paragraph of a few words." for n in range(60)),
    "list": "## Title\n\n" + "\n".join(f"- w{n}" for n in range(80)),
    "table": "| a | b |\n|---|---|\n" + "\n".join(f"| w{n} | x |" for n in range(90)),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", LONG)
def test_what_is_too_long_for_a_slide_goes_on_and_nothing_is_lost(kind, tmp_path, page):
    write_slides(new_notebook(cells=[new_markdown_cell(LONG[kind])]), tmp_path / "slides.html")
    found = measured(opened(page, tmp_path / "slides.html"))
    assert len(found) > 2
    assert [slide for slide in found if slide["left"] > 0 or slide["font"] < 85] == []
    words = re.findall(r"\bw\d+", " ".join(slide["text"] for slide in found))
    assert words == [f"w{n}" for n in range(len(words))]
    assert words[-1] == max(re.findall(r"\bw\d+", LONG[kind]), key=lambda word: int(word[1:]))
    assert sum("b" in slide["text"].split() for slide in found) == len(found) * (kind == "table")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lines", "smaller", "scrolls"), [(24, False, False), (34, True, False), (90, True, True)]
)
def test_long_code_gets_smaller_and_then_its_slide_scrolls(lines, smaller, scrolls, tmp_path, page):
    cells = [new_code_cell("\n".join(f"x{n} = {n}" for n in range(lines)))]
    write_slides(new_notebook(cells=cells), tmp_path / "slides.html")
    (slide,) = measured(opened(page, tmp_path / "slides.html"))
    assert (slide["font"] < 85, slide["left"] > 0) == (smaller, scrolls)
    assert slide["font"] >= 60


@pytest.mark.slow
def test_what_a_cell_prints_stays_together_and_text_goes_on(tmp_path, page):
    printed = [new_output("stream", text=f"line {n}\n") for n in range(4)]
    code = new_code_cell("\n".join(f"x{n} = {n}" for n in range(18)), outputs=printed)
    words = new_markdown_cell("\n\n".join(["words " * 30] * 3))
    write_slides(new_notebook(cells=[code, words]), tmp_path / "slides.html")
    one, two = measured(opened(page, tmp_path / "slides.html"))
    assert "line 3" in one["text"]
    assert set(two["text"].split()) == {"words"}
    assert 85 <= one["font"] < 100


@pytest.mark.slow
def test_a_heading_does_not_end_a_slide(tmp_path, page):
    text = "\n\n".join(["words"] * 8 + ["#### Heading", "text below " * 90])
    write_slides(new_notebook(cells=[new_markdown_cell(text)]), tmp_path / "slides.html")
    found = measured(opened(page, tmp_path / "slides.html"))
    assert [slide["text"].split()[-1] for slide in found] == ["words", "below"]
