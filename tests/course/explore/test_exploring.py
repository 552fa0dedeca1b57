"""What holds for every exploration, what `explore` shows, and what it refuses."""

import builtins
import html
import re
import subprocess
import sys

import numpy as np
import pytest

from bnlab.course import explore
from bnlab.course.explore import showing
from bnlab.course.explore.exploring import HERE, exploration, names

every = pytest.mark.parametrize("name", names())


@every
def test_a_module_is_one_short_file_that_loads_nothing(name):
    module = exploration(name).module
    assert len(module.splitlines()) < 200
    assert "export default { render" in module
    names_of_kinds = module.replace("http://www.w3.org/", "")  # of SVG, nobody asks there
    assert re.findall(r"\bimport\b|\bfetch\b|XMLHttp|src=|url\(|https?:", names_of_kinds) == []


@every
def test_it_says_in_words_what_to_do_and_what_there_is_to_see(name):
    found = exploration(name)
    assert found.name == name
    assert min(len(found.alt), len(found.first), len(found.seen)) > 20
    assert found.first.count(".") + found.first.count("?") <= 4


@every
def test_its_first_state_makes_sense_and_its_names_are_free(name):
    widget = pytest.importorskip("anywidget").AnyWidget
    found = exploration(name)
    assert found.with_changes(found.state) == found.state
    taken = [key for key in [*found.state, *found.data()] if hasattr(widget, key)]
    assert taken == []


@every
def test_a_page_has_the_still_with_its_words_and_what_makes_it_live(name):
    found = exploration(name)
    text = showing.page_html(found, found.state)
    assert f'data-explore="{name}"' in text
    assert html.escape(found.alt) in text
    assert len(text) < 100_000
    assert "http" not in re.sub(r"base64,[^\"]+", "", text)


def test_numpy_becomes_what_json_has():
    widget = explore("batch", x=np.array([1.0, 2, 4]), gamma=np.float64(2), eps=np.float32(0.5))
    assert (widget.x, widget.gamma, widget.eps) == ([1.0, 2.0, 4.0], 2.0, 0.5)
    assert [type(v) for v in (*widget.x, widget.gamma, widget.eps)] == 5 * [float]


@pytest.mark.parametrize(
    ("name", "state", "sentence"),
    [
        ("bach", {}, "there is no exploration 'bach'; did you mean 'batch'?"),
        ("zzz", {}, "there is no exploration 'zzz'; there are: batch, "),
        ("batch", {"gama": 1}, "'batch' has no 'gama'; it has x, gamma, beta, eps"),
        ("batch", {"gamma": "1"}, "gamma of the exploration 'batch' takes finite numbers, got '1'"),
        ("batch", {"x": 3}, "takes lists of finite numbers, got 3"),
        ("batch", {"x": []}, r"takes lists of finite numbers, got \[\]"),
        ("batch", {"x": [1, 2, np.inf]}, r"takes lists of finite numbers, got \[1, 2, inf\]"),
        ("batch", {"x": [1, 2]}, "x has 3 to 12 values, got 2"),
        ("batch", {"x": range(13)}, "takes lists of finite numbers, got range"),
        ("batch", {"x": list(range(13))}, "x has 3 to 12 values, got 13"),
        ("batch", {"eps": 0}, "eps is above 0, got 0"),
    ],
)
def test_what_makes_no_sense_gets_a_sentence(name, state, sentence):
    with pytest.raises(ValueError, match=sentence):
        explore(name, **state)


def test_what_python_sets_later_must_make_sense_too():
    pytest.importorskip("anywidget")
    widget = explore("company", m=8, ghost=8)
    with pytest.raises(ValueError, match=r"ghost is at most m, .* got 8 of 4"):
        widget.m = 4
    with pytest.raises(ValueError, match="m of the exploration 'company' takes finite numbers"):
        widget.m = "16"
    assert (widget.m, widget.ghost) == (8, 8)
    widget.set_state({"m": 4, "ghost": 4})  # what the reader changes comes together
    assert (widget.m, widget.ghost) == (4, 4)


@pytest.mark.slow
@every
def test_the_keyboard_comes_through_and_out_again(mount, name):
    page = mount(name)
    page.evaluate("document.body.append(document.createElement('button'))")
    keys = "['a', 'End', 'Tab', 'Enter', 'ArrowUp']"
    kept = page.evaluate(f"""{keys}.filter((key) => document.querySelector('.bnlab-explore input')
        .dispatchEvent(new KeyboardEvent('keydown', {{key, bubbles: true, cancelable: true}})))""")
    assert kept == ["a", "End", "Tab", "Enter", "ArrowUp"]
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body.lastChild"):
            return
    pytest.fail("after 20 times Tab the focus is still in the picture")


# What a cell shows


@pytest.fixture
def shown(monkeypatch):
    """shown(widget): the outputs of a cell that ends in it."""
    pytest.importorskip("IPython")
    outputs = []
    monkeypatch.setattr("IPython.display.display", lambda data, **how: outputs.append(data))
    return lambda widget: widget._ipython_display_() or outputs


def test_a_cell_shows_words_and_still_then_the_widget_then_words(shown):
    pytest.importorskip("anywidget")
    first, live, last = shown(explore("batch", gamma=2))
    found = exploration("batch")
    assert first["text/plain"] == found.alt
    assert html.escape(found.first) in first["text/html"]
    assert "&quot;gamma&quot;: 2" in first["text/html"]
    assert 'src="data:image/png;base64,' in first["text/html"]
    assert list(live) == [showing.WIDGET]
    assert last["text/plain"] == found.seen


def test_what_is_shown_again_is_in_the_state_that_it_has_by_then(shown):
    widget = explore("batch")
    widget.beta = 3
    assert "&quot;beta&quot;: 3" in shown(widget)[0]["text/html"]


def test_without_anywidget_a_sentence_and_the_still_are_shown(shown, monkeypatch):
    real = builtins.__import__

    def refuse(name, *rest):
        if name.startswith("anywidget"):
            raise ModuleNotFoundError("No module named 'anywidget'", name="anywidget")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    showing.shown_class.cache_clear()
    widget = explore("batch", gamma=2)
    showing.shown_class.cache_clear()
    assert (widget.gamma, widget.beta) == (2, 0)
    first, last = shown(widget)
    assert "moved where anywidget is installed: pip install anywidget" in first["text/html"]
    assert "bnlab-explore-still" in first["text/html"]
    assert last["text/plain"] == exploration("batch").seen


def test_two_of_a_kind_have_states_of_their_own():
    one, other = explore("batch"), explore("batch", gamma=2)
    one.x = [1, 2, 3]
    assert (other.x, other.gamma) == (exploration("batch").state["x"], 2)
    assert (one.gamma, explore("batch").x) == (1, other.x)


def test_the_course_loads_no_widgets_before_they_are_wanted():
    code = "import bnlab.course, sys; print(*{'anywidget', 'IPython'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_every_file_of_the_folder_belongs_to_an_exploration():
    engine = {"__init__.py", "exploring.py", "showing.py", "explore.css"}
    files = {path.name for path in HERE.iterdir() if path.is_file()}
    assert files == engine | {f"{name}.{kind}" for name in names() for kind in ("py", "js")}
