"""The film: the stored counts are those of a training run, the module reads them as they are."""

import numpy as np
import pytest

from bnlab.course.explore.exploring import exploration
from bnlab.course.explore.film import EDGES, FILM, SCALES, SIDES, STEPS, film, shoot

UNITS = 202 * 100  # outputs of a layer
LAST = STEPS[-1]


def test_an_exploration_of_this_name_is_found():
    assert exploration("film") is FILM


@pytest.mark.parametrize("batchnorm", [False, True])
@pytest.mark.parametrize("s", SCALES)
def test_the_stored_film_begins_as_a_training_run_does(s, batchnorm):
    # At s = 1 without batch norm the last bits of a product decide after a few steps.
    steps = 0 if s == 1 and not batchnorm else 10
    at, frames = (SCALES.index(s), int(batchnorm)), steps // 5 + 1
    for name, made in shoot(s, batchnorm, steps).items():
        stored = film()[name][at][:frames]
        if name == "counts":
            np.testing.assert_array_equal(made, stored)
        else:
            np.testing.assert_allclose(made, stored, rtol=1e-9)


def test_and_ends_so():
    made, at = shoot(0.14, True), (SCALES.index(0.14), 1)
    moved = np.abs(made["counts"].astype(int) - film()["counts"][at]).sum(axis=-1) / 2
    assert moved.max() <= 20
    np.testing.assert_allclose(made["std"], film()["std"][at], rtol=1e-4)
    np.testing.assert_allclose(made["right"], film()["right"][at], atol=0.5)


def test_every_output_is_counted_and_zero_has_a_bin_of_its_own():
    assert (film()["counts"].sum(axis=-1) == UNITS).all()
    middle = len(EDGES) // 2
    assert -EDGES[middle - 1] == pytest.approx(EDGES[middle]) != 0


def test_what_one_should_have_seen_is_there():
    std, right = film()["std"][..., 4], film()["right"]  # (s, side, frame): layer 5
    assert (std[0, 0] < 0.001).all()
    assert (std[2, 0, 4:] < 0.02).all()  # other machines: 0.017 after 10 steps, then less
    assert (std[:, 1] > 0.6).all()
    assert (std[:, 1] < 0.7).all()
    np.testing.assert_allclose(std[:, 1, 0], std[0, 1, 0], rtol=1e-3)
    assert (right[[0, 2], 0, -1] < 15).all()
    assert (right[[0, 1, 1, 2], [1, 0, 1, 1], -1] > 90).all()


@pytest.mark.parametrize(
    ("state", "rule"),
    [({"s": 0.5}, "s is one of 0.03, 0.14, 1, got 0.5"), ({"step": 7}, "step is 0, 5, 10, .* 7")],
)
def test_a_state_that_was_not_filmed_is_refused(state, rule):
    with pytest.raises(ValueError, match=rule):
        FILM.with_changes(state)


def test_the_still_shows_how_all_six_films_end():
    import matplotlib.pyplot as plt

    figure = FILM.still(FILM.state)
    assert str(LAST) in figure.get_suptitle()
    for (at, side), ax in np.ndenumerate(np.reshape(figure.axes, (3, 2))):
        counts, std, right = (film()[name][at, side] for name in ("counts", "std", "right"))
        assert ax.texts[0].get_text() == f"{right[-1]:.0f}% right, std {std[-1, 4]:.4f}"
        for bars, step in zip(ax.patches, (-1, 0), strict=True):
            heights = bars.get_data().values * np.diff(EDGES)
            np.testing.assert_allclose(heights, counts[step, 4] / UNITS)
    assert [ax.get_title() for ax in figure.axes[:2]] == list(SIDES)
    assert [ax.get_ylabel() for ax in figure.axes[::2]] == [f"s = {s:g}" for s in SCALES]
    plt.close(figure)


# In a browser


@pytest.mark.slow
@pytest.mark.parametrize("step", [0, 35, LAST])
@pytest.mark.parametrize("s", SCALES)
def test_the_module_reads_the_counts_and_derives_from_them(call, s, step):
    sides = call("film", "frame", FILM.data() | {"s": s, "step": step})
    at, t = SCALES.index(s), STEPS.index(step)
    assert [side["name"] for side in sides] == list(SIDES)
    for side, shown in enumerate(sides):
        assert shown["right"] == pytest.approx(film()["right"][at, side, t], rel=1e-9)
        assert len(shown["layers"]) == 5
        for layer, found in enumerate(shown["layers"]):
            counts = film()["counts"][at, side, t, layer]
            values = np.repeat((EDGES[:-1] + EDGES[1:]) / 2, counts)  # one for each output
            density, _ = np.histogram(values, EDGES, density=True)
            assert found["counts"] == counts.tolist()
            assert found["std"] == pytest.approx(film()["std"][at, side, t, layer], rel=1e-9)
            assert found["saturated"] == pytest.approx(np.mean(abs(values) > 0.97), abs=1e-9)
            np.testing.assert_allclose(found["density"], density, rtol=1e-9, atol=1e-9)


@pytest.mark.slow
def test_the_slider_goes_through_the_film_by_key(mount, state):
    page = mount("film", s=0.03)
    slider, words = page.get_by_role("slider", name="step"), page.locator("[aria-live]")
    assert "step 0:" in words.inner_text()
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert state()["step"] == 5
    page.keyboard.press("End")
    assert state()["step"] == LAST
    assert f"s = 0.03, step {LAST}: without batch norm 9% right" in words.inner_text()


@pytest.mark.slow
def test_its_keys_do_not_reach_the_page(mount, state):
    page = mount("film")  # JupyterLab would go to another cell, or into one
    page.evaluate("document.addEventListener('keydown', (event) => event.preventDefault())")
    page.get_by_role("slider").focus()
    for key in ("ArrowRight", "ArrowUp", "ArrowRight", "ArrowLeft"):
        page.keyboard.press(key)
    assert state()["step"] == 10
    for key, s in (("Enter", 0.03), ("Space", 0.14)):
        page.get_by_role("button", name=f"s = {s}").focus()
        page.keyboard.press(key)
        assert state()["s"] == s


@pytest.mark.slow
def test_s_is_chosen_by_a_button(mount, state):
    page = mount("film")
    before = page.locator("svg").inner_html()
    page.get_by_role("button", name="s = 0.14").click()
    assert state()["s"] == 0.14
    assert page.locator("[aria-pressed=true]").inner_text() == "s = 0.14"
    assert page.locator("svg").inner_html() != before


@pytest.mark.slow
def test_the_film_plays_and_pauses(mount, state):
    page = mount("film")
    words = page.locator("[aria-live]")
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("mounted[0].model.get('step') > 0")
    assert "step 0:" in words.inner_text()  # nothing is read out while it moves
    page.get_by_role("button", name="Pause").click()
    paused = state()["step"]
    page.wait_for_timeout(400)
    assert state()["step"] == paused
    assert f"step {paused}:" in words.inner_text()


@pytest.mark.slow
def test_the_film_stops_at_its_end_and_starts_again(mount, state):
    page = mount("film", step=LAST - 10)
    page.get_by_role("button", name="Play").click()
    again = page.get_by_role("button", name="Start again")
    again.wait_for()
    assert state()["step"] == LAST
    assert f"step {LAST}:" in page.locator("[aria-live]").inner_text()
    again.click()
    page.wait_for_function("mounted[0].model.get('step') < 100")
    page.evaluate("mounted[0].cleanup()")
    left = state()["step"]
    page.wait_for_timeout(400)
    assert state()["step"] == left


@pytest.mark.slow
def test_with_reduced_motion_nothing_moves_by_itself(house, mount, state):
    house.emulate_media(reduced_motion="reduce")
    page = mount("film")
    page.get_by_role("button", name="Next").click()
    assert state()["step"] == 5
    page.wait_for_timeout(400)
    assert state()["step"] == 5
    assert "step 5:" in page.locator("[aria-live]").inner_text()


@pytest.mark.slow
def test_two_films_on_a_page_are_apart_and_python_may_move_one(mount, state):
    mount("film")
    page = mount("film", s=0.14)
    page.evaluate("mounted[1].model.set('step', 50)")
    assert (state(0)["step"], state(1)["step"]) == (0, 50)
    assert "step 50" in page.locator("[aria-live]").nth(1).inner_text()
    assert "step 0" in page.locator("[aria-live]").nth(0).inner_text()


@pytest.mark.slow
@pytest.mark.parametrize("width", [1000, 390, 286])
def test_no_words_stand_on_others(house, mount, width):
    house.set_viewport_size({"width": width, "height": 900})
    page = mount("film", step=LAST)
    boxes = page.locator("svg text").evaluate_all(
        "all => all.map(n => n.getBBox()).map(b => [b.x, b.y, b.x + b.width, b.y + b.height])"
    )
    left, top, right, bottom = np.array(boxes).T
    beside = (right[:, None] < left) | (right < left[:, None])
    apart = beside | (bottom[:, None] - 3 < top) | (bottom - 3 < top[:, None])  # px: without tails
    assert apart.sum() == len(boxes) * (len(boxes) - 1)


@pytest.mark.slow
def test_the_first_picture_is_there_at_once(mount):
    assert mount("film").evaluate("mounted[0].took") < 150  # ms
