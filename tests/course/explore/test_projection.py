"""Three rows in space: the numbers of the browser, the buttons, and the view that turns."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgba

import bnlab
from bnlab.course.explore.exploring import exploration
from bnlab.course.explore.projection import PROJECTION, projected, steps

BATCHES = [
    {"gamma": 1, "eps": 1e-5},
    {"gamma": -1.7, "eps": 0.3},
    {"gamma": 0.4, "eps": 1e-12, "x": [5.0, 5.0, 5.01]},
    {"gamma": 2, "eps": 1e-5, "x": [4, 4, 4]},
]


def batch(changes, seed):
    """x and dy at random where the changes leave them open."""
    x, dy = np.random.default_rng(seed).normal(1.0, 3.0, (2, 3))
    return {"x": x.tolist(), "dy": dy.tolist()} | changes


@pytest.mark.parametrize("changes", BATCHES)
def test_the_last_step_is_the_backward_pass(changes):
    state = batch(changes, seed=1)
    x = np.array(state["x"], dtype=float)[:, None]
    _, cache = bnlab.batchnorm_forward(x, [state["gamma"]], [0.0], state["eps"])
    x_hat, way = steps(state)
    assert way[3] == pytest.approx(way[2] * state["gamma"] * cache.inv_std, rel=1e-9, abs=1e-12)
    assert way[1:3] @ np.ones(3) == pytest.approx(0, abs=1e-12)
    share_of_eps = state["eps"] * cache.inv_std[0] ** 2  # what is left along x_hat is made by eps
    assert way[2] @ x_hat == pytest.approx(way[1] @ x_hat * share_of_eps, abs=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("changes", BATCHES)
def test_the_browser_has_the_numbers_of_the_package(call, changes):
    state = batch(changes, seed=2)
    found = call("projection", "backward", state)
    x_hat, way = steps(state)
    assert found["x_hat"] == pytest.approx(x_hat, rel=1e-9, abs=1e-9)
    assert np.array(found["steps"]) == pytest.approx(way, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(("turn", "tilt"), [(0, 0), (45, 30), (-170, 77)])
def test_a_view_keeps_lengths_apart_from_the_depth(turn, tilt):
    frame = projected(
        np.eye(3), turn, tilt
    )  # (3, 2): of an orthogonal projection to two directions
    assert frame.T @ frame == pytest.approx(np.eye(2))


def test_from_above_the_mean_cannot_be_seen():
    vector = np.random.default_rng(3).normal(size=3)
    moved = [projected(v, 20, 90) for v in (vector, vector - vector.mean())]
    assert moved[0] == pytest.approx(moved[1])


@pytest.mark.slow
def test_the_still_and_the_live_picture_look_from_the_same_place(house):
    ask = 'async (v) => (await import("./projection.js")).projected(v, -33, 62)'
    vector = [1.0, -2.5, 0.3]
    right, down = house.evaluate(ask, vector)
    assert [right, -down] == pytest.approx(projected(vector, -33, 62))


def test_the_still_shows_all_steps():
    figure = PROJECTION.still(PROJECTION.state)
    words = [text.get_text() for text in figure.axes[0].texts]
    plt.close(figure)
    assert {"dy", "on the plane", "what is left", "dx", "x̂"} <= set(words)


def test_orange_is_what_is_left_as_in_the_notebook():
    figure = PROJECTION.still(PROJECTION.state)
    texts = figure.axes[0].texts
    arrows = [(tip.get_text(), tip.arrow_patch) for tip in texts if hasattr(tip, "arrow_patch")]
    plt.close(figure)
    drawn = [arrow.get_edgecolor() for _, arrow in arrows if arrow]
    named = [name for name, arrow in arrows if not arrow]
    colours = dict(zip(named, drawn, strict=True))
    assert colours["dy"] == to_rgba("C0")
    assert colours["what is left"] == colours["dx"] == to_rgba("C1") != colours["x̂"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"x": [1, 2]}, "x has a value for each of 3 rows, got 2"),
        ({"dy": [1, 2, 3, 4]}, "dy has a value for each of 3 rows, got 4"),
        ({"eps": 0}, "eps is above 0, got 0"),
        ({"step": 4}, "step is 0, 1, 2 or 3, got 4"),
    ],
)
def test_a_state_without_sense_gets_a_sentence(change, sentence):
    with pytest.raises(ValueError, match=sentence):
        exploration("projection").with_changes(change)


@pytest.mark.slow
class TestInTheBrowser:
    def test_the_button_steps_and_the_table_fills(self, mount, state):
        page = mount("projection")
        rows = page.locator("tr")
        assert rows.nth(4).inner_text().split("\t")[1] == ""
        for _ in range(3):
            page.get_by_role("button", name="Next step").click()
        assert state()["step"] == 3
        assert rows.nth(6).inner_text().split("\t")[1:] == ["0.40", "−0.50", "0.10", "0.64"]
        page.get_by_role("button", name="Start again").click()
        assert state()["step"] == 0

    def test_two_directions_of_three_are_said_to_be_gone(self, mount):
        page = mount("projection", step=2)
        assert "Of three directions two are gone" in page.locator("[aria-live]").inner_text()

    def test_dragging_turns_and_tilts(self, mount, state):
        page = mount("projection")
        box = page.locator("svg").bounding_box()
        middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(*middle)
        page.mouse.down()
        page.mouse.move(middle[0] + 40, middle[1] + 20, steps=4)
        assert state()["turn"] == 45  # Python hears of it when the drag ends
        page.mouse.up()
        assert (state()["turn"], state()["tilt"]) == (65, 40)

    def test_a_finger_that_scrolls_the_page_does_not_tilt(self, mount, state):
        page = mount("projection")
        page.set_viewport_size({"width": 390, "height": 500})  # there is something to scroll to
        box = page.locator("svg").bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        before, touch = page.locator("svg").inner_html(), page.context.new_cdp_session(page)
        for kind, way in [("touchStart", 0), *(("touchMove", -k) for k in range(10, 110, 10))]:
            points = {"type": kind, "touchPoints": [{"x": x, "y": y + way}]}
            touch.send("Input.dispatchTouchEvent", points)
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        page.wait_for_function("scrollY > 50")
        assert (state()["turn"], state()["tilt"]) == (45, 30)
        assert page.locator("svg").inner_html() == before

    def test_a_button_that_can_go_no_further_back_keeps_the_focus(self, mount, state):
        page = mount("projection", step=1)
        back = page.get_by_role("button", name="Step back")
        back.focus()
        for _ in range(2):
            page.keyboard.press("Enter")
        assert state()["step"] == 0
        assert page.evaluate("document.activeElement.textContent") == "Step back"
        assert back.is_disabled()  # for those who cannot see it

    def test_what_is_left_is_orange_in_the_browser_too(self, mount):
        page = mount("projection")
        for step, colour in enumerate(["var(--c0)", "var(--c0)", "var(--c1)", "var(--c1)"]):
            page.evaluate(f"mounted[0].model.set('step', {step})")
            assert page.locator("svg path[stroke-width='4']").get_attribute("stroke") == colour

    def test_arrow_keys_turn_the_view(self, mount, state):
        page = mount("projection")
        page.get_by_label("turn").press("ArrowRight")
        page.get_by_label("tilt").press("End")
        assert (state()["turn"], state()["tilt"]) == (46, 90)

    def test_a_number_can_be_changed_and_an_empty_one_comes_back(self, mount, state):
        page = mount("projection", step=1)
        field = page.get_by_label("dy, row 2")
        field.fill("4")
        field.press("Enter")
        assert state()["dy"] == [1, 4, 2.5]
        assert page.locator("tr").nth(4).inner_text().split("\t")[1] == "−1.50"
        field.fill("")
        field.press("Tab")
        assert state()["dy"] == [1, 4, 2.5]
        assert field.input_value() == "4"

    def test_equal_rows_are_explained(self, mount):
        page = mount("projection", x=[2, 2, 2], step=2)
        words = page.locator("[aria-live]").inner_text()
        assert "x̂ is 0" in words
        assert "one direction is gone, not two" in words

    def test_a_large_eps_leaves_some_of_the_part_along_x_hat(self, mount):
        page = mount("projection", eps=3, step=2)
        assert "some of the part along x̂ stays" in page.locator("[aria-live]").inner_text()

    def test_with_reduced_motion_the_arrow_is_there_at_once(self, mount):
        page = mount("projection")
        page.emulate_media(reduced_motion="reduce")
        page.get_by_role("button", name="Next step").click()
        before = page.locator("svg").inner_html()
        page.wait_for_timeout(200)
        assert page.locator("svg").inner_html() == before

    def test_it_starts_at_once(self, mount):
        assert mount("projection").evaluate("mounted[0].took") < 150  # ms
