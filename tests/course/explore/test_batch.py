"""The exploration "batch": its numbers against the package's, and every way to move it."""

import numpy as np
import pytest

from bnlab.batchnorm import batchnorm_forward
from bnlab.course.explore.batch import BATCH, normalized

slow = pytest.mark.slow


def batches():
    """Batches of every size: plain ones, one of equal values, outliers, a large eps."""
    rng = np.random.default_rng(0)
    for m in range(3, 13):
        x, (gamma, beta) = rng.normal(3, 2, m), rng.normal(size=2)
        yield {"x": x.tolist(), "gamma": gamma, "beta": beta, "eps": 1e-5}
        yield {
            "x": [*x[1:], 1000],
            "gamma": -gamma,
            "beta": beta,
            "eps": 10.0 ** rng.integers(-5, 3),
        }
    yield {"x": [4.0, 4.0, 4.0], "gamma": 2.0, "beta": 1.0, "eps": 1e-5}


@slow
def test_the_module_computes_what_the_package_does(call):
    for state in batches():
        x = np.array(state["x"])[:, None]
        y, cache = batchnorm_forward(x, [state["gamma"]], [state["beta"]], eps=state["eps"])
        found = call("batch", "batchnorm", state)
        np.testing.assert_allclose(found["x_hat"], cache.x_hat.ravel(), atol=1e-9)
        np.testing.assert_allclose(found["y"], y.ravel(), atol=1e-9)
        moments = [x.mean(), x.var(), np.sqrt(len(x) - 1)]
        assert [found[k] for k in ("mean", "variance", "bound")] == pytest.approx(moments, 1e-12)


def test_the_still_stands_on_the_same_numbers():
    for state in batches():
        x, x_hat, y = normalized(state)
        assert x.tolist() == state["x"]
        np.testing.assert_allclose(
            x_hat, (x - x.mean()) / np.sqrt(x.var() + state["eps"]), atol=1e-9
        )
        np.testing.assert_allclose(y, state["gamma"] * x_hat + state["beta"], atol=1e-9)


def test_the_still_shows_them():
    import matplotlib.pyplot as plt

    figure = BATCH.still(BATCH.with_changes({"x": [0, 0, 0, 0, 1000], "gamma": 2, "beta": 0.5}))
    words = [text.get_text() for text in figure.axes[0].texts]
    plt.close(figure)
    assert "x: mean 200.00, deviation 400.00" in words
    assert "x_hat: mean 0.00, deviation 1.00, bound √(5 − 1) = 2.00" in words
    assert "y: mean 0.50, deviation 2.00" in words


# In a browser


def value(page, k, m=5):
    return page.get_by_role("slider", name=f"value {k} of {m}", exact=True)


def said(page):
    return page.locator("p[aria-live]").inner_text()


def center(handle):
    box = handle.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


@slow
def test_a_value_is_dragged_and_python_hears_of_it_at_the_end(mount, state):
    page = mount("batch")
    page.mouse.move(*center(value(page, 5)))
    page.mouse.down()
    page.mouse.move(5000, 40, steps=4)
    assert value(page, 5).get_attribute("aria-valuenow") == "10"
    assert state()["x"] == BATCH.state["x"]
    assert "deviation 1.00" in said(page)
    page.mouse.up()
    assert state()["x"] == [-1, 0, 0.5, 1, 10]
    assert said(page).startswith("5 values, mean 2.10, deviation 4.00. The largest |x_hat| is 1.97")
    page.mouse.move(100, 40)
    assert state()["x"] == [-1, 0, 0.5, 1, 10]


@slow
def test_a_value_lands_where_the_pointer_is(mount, state):
    page = mount("batch")
    (x0, y0), (x1, _) = center(value(page, 2)), center(value(page, 4))  # at 0 and at 1
    page.mouse.move(x0, y0)
    page.mouse.down()
    page.mouse.move(x0 + 3 * (x1 - x0), y0)
    page.mouse.up()
    assert state()["x"][1] == pytest.approx(3, abs=0.101)


@slow
def test_the_keyboard_moves_a_value_by_small_and_large_steps(mount, state):
    page = mount("batch")
    value(page, 3).focus()
    for keys, at in [(["ArrowRight"], 0.6), (["Shift+ArrowUp"], 1.6), (["ArrowLeft"], 1.5),
                     (["Shift+ArrowDown", "Home"], -10), (["End", "ArrowRight"], 10)]:  # fmt: skip
        for key in keys:
            page.keyboard.press(key)
        assert state()["x"] == [-1, 0, at, 1, 2]
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "value 3 of 5"
    assert value(page, 3).get_attribute("aria-valuetext") == "x 10.00, x_hat 1.93, y 1.93"


@slow
def test_a_finger_moves_a_value_and_the_page_scrolls_elsewhere(mount, state):
    page = mount("batch")
    x, y = center(value(page, 5))
    touch = page.context.new_cdp_session(page)
    for kind, at in [("touchStart", x), ("touchMove", x + 60), ("touchMove", x + 120)]:
        points = {"type": kind, "touchPoints": [{"x": at, "y": y}]}
        touch.send("Input.dispatchTouchEvent", points)
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert state()["x"][4] > 3
    look = "node => getComputedStyle(node).touchAction"
    assert value(page, 5).evaluate(look) == "none"
    assert page.locator(".bnlab-explore").evaluate(look) == "manipulation"


@slow
def test_sliders_turn_gamma_beta_and_eps(mount, state):
    page = mount("batch")
    for name, key, at in [("gamma", "End", 3), ("beta", "Home", -5), ("eps", "End", 100)]:
        page.get_by_label(name).focus()
        page.keyboard.press(key)
        assert state()[name] == at
    assert page.get_by_label("eps").get_attribute("aria-valuetext") == "100"
    assert page.get_by_text("x_hat: mean 0, deviation 0.10").count() == 1


@slow
def test_values_come_and_go_within_limits(mount, state):
    page = mount("batch")
    button = {name: page.get_by_role("button", name=name)
              for name in ("Add a value", "Add an outlier", "Remove", "Start again")}  # fmt: skip
    button["Add an outlier"].click()
    assert state()["x"] == [*BATCH.state["x"], 1000]
    assert "The largest |x_hat| is 2.24; no batch of 6 gets above 2.24" in said(page)
    assert value(page, 6, m=6).get_attribute("aria-valuemax") == "1000"
    button["Remove"].click()  # what came last is chosen
    assert state()["x"] == BATCH.state["x"]
    value(page, 2).focus()
    button["Remove"].click()
    assert state()["x"] == [-1, 0.5, 1, 2]
    button["Remove"].click()
    assert button["Remove"].is_disabled()
    for _ in range(9):
        button["Add a value"].click()
    assert len(state()["x"]) == 12
    assert button["Add a value"].is_disabled()
    assert button["Add an outlier"].is_disabled()
    button["Start again"].click()
    assert state() == BATCH.state


@slow
def test_a_value_is_added_where_none_is(mount, state):
    page = mount("batch")
    for _ in range(7):
        page.get_by_role("button", name="Add a value").click()
    x = np.sort(state()["x"])
    assert len(x) == 12
    assert np.diff(x).min() >= 0.5
    assert np.abs(x).max() <= 5  # near the others


@slow
@pytest.mark.parametrize(("name", "times"), [("Add a value", 7), ("Remove the chosen value", 2)])
def test_a_button_that_can_do_no_more_keeps_the_focus(mount, state, name, times):
    page = mount("batch")
    page.get_by_role("button", name=name).focus()
    for _ in range(times + 1):
        page.keyboard.press("Enter")
    assert len(state()["x"]) == (12 if times == 7 else 3)
    assert page.evaluate("document.activeElement.textContent") == name
    assert page.get_by_role("button", name=name).is_disabled()  # for those who cannot see it


@slow
def test_what_is_beyond_its_line_has_an_arrow(mount):
    page = mount("batch", x=[0, 0, 0, 0, 20])
    words = page.get_by_text("x: mean (bar)")
    assert words.text_content() == "x: mean (bar) 4.00, deviation (band) 8.00 →"
    bars = page.locator("svg path[stroke-width='2']:not([stroke-dasharray])")
    assert bars.get_attribute("d").endswith("v26")
    page.evaluate("mounted[0].model.set('x', [0, 0, 0, 0, -1000])")
    assert words.text_content() == "x: mean (bar) −200.00 ←, deviation (band) 400.00 ← →"
    line, arrow = (page.locator("svg path[stroke='var(--quiet)']").first, bars)
    assert arrow.bounding_box()["x"] + arrow.bounding_box()["width"] < line.bounding_box()["x"]


@slow
def test_the_batch_before_stays_as_a_ghost(mount):
    page = mount("batch")
    ghosts = page.locator("path[stroke-dasharray='2 2']")
    assert ghosts.count() == 0
    value(page, 5).focus()
    page.keyboard.press("End")
    places = "nodes => nodes.map(node => node.getAttribute('transform'))"
    before = ghosts.evaluate_all(places)
    assert len(before) == 15  # x, x_hat, y of five values
    page.keyboard.press("Home")
    assert ghosts.count() == 15
    assert ghosts.evaluate_all(places) != before


@slow
def test_what_python_sets_is_drawn(mount):
    page = mount("batch")
    page.evaluate("mounted[0].model.set('x', [1, 1, 1, 1, 6, 6, 6])")
    assert page.get_by_role("slider", name="of 7").count() == 7
    page.evaluate("mounted[0].model.set('gamma', 2)")
    assert page.get_by_label("gamma").input_value() == "2"
    page.evaluate("mounted[0].cleanup()")
    page.evaluate("mounted[0].model.set('gamma', 1)")  # nobody listens any more
    assert page.get_by_label("gamma").input_value() == "2"


@slow
def test_several_on_a_page_do_not_disturb_one_another(mount, state):
    mount("batch")
    page = mount("batch", gamma=2)
    value(page, 1).nth(1).focus()
    page.keyboard.press("Home")
    assert (state(0), state(1)["x"][0]) == (BATCH.state, -10)
    assert page.locator("[id]").count() == 0  # ids would meet


@slow
def test_it_starts_at_once(mount):
    for _ in range(5):
        page = mount("batch")
    assert min(page.evaluate("mounted.map(m => m.took)")) < 150  # ms; the best of five
