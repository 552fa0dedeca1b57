"""Put an exploration into a notebook, or on a page of the site.

In a notebook it is three outputs: the words that come first with the still picture, the live
picture, and folded words that come last. Where the live picture runs, its style hides the still.
A front end that has no kernel any more writes an error in its place; the style of the first output
hides that, and the still is seen. On the site `docs/_static/explore.js` puts the live picture in
the place of the still, which says for this what it shows and in which state.
"""

import base64
import functools
import html
import io
import json

from bnlab.course.explore.exploring import HERE

__all__ = ["page_html", "shown_class", "style"]

WIDGET = "application/vnd.jupyter.widget-view+json"
DEAD = (  # JupyterLab's node of a widget that has nothing in it but an error in words
    "<style>.jp-OutputArea:has(.bnlab-explore-still) .jp-OutputArea-output.jupyter-widgets"
    ":not(:has(*)){display:none}</style>"
)
STILL_ONLY = (
    "This picture can be moved where anywidget is installed: pip install anywidget, "
    "then restart the kernel."
)


def style():
    """The text of explore.css."""
    return (HERE / "explore.css").read_text(encoding="utf-8")


# HTML


def page_html(exploration, state):
    """The exploration for a page: words, still picture, folded words."""
    return _first(exploration) + _still(exploration, state) + _seen(exploration)


def _first(exploration):
    return f"<p><b>Try it.</b> {html.escape(exploration.first)}</p>"


def _still(exploration, state):
    live = f'data-explore="{exploration.name}" data-state="{html.escape(json.dumps(state))}"'
    source = base64.b64encode(_png(exploration.still(state))).decode()
    image = f'<img src="data:image/png;base64,{source}" alt="{html.escape(exploration.alt)}">'
    return f'<div class="bnlab-explore-still" {live}>{image}</div>'


def _seen(exploration):
    seen = html.escape(exploration.seen)
    summary = "<summary>What you should have seen</summary>"
    return f'<details class="bnlab-explore-seen">{summary}<p>{seen}</p></details>'


def _png(figure):
    """A figure as a file, closed; on white paper, since its lines are drawn for that."""
    import matplotlib.pyplot as plt

    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=100, facecolor="white", metadata={"Software": None})
    plt.close(figure)
    return stream.getvalue()


# In a notebook


@functools.cache
def shown_class(exploration):
    """The class of what `explore` returns: a widget, or without anywidget a still picture."""
    try:
        import anywidget
        import traitlets
    except ImportError:
        return type("Still", (_Still,), {"exploration": exploration})
    traits = {name: traitlets.Any().tag(sync=True) for name in exploration.state}
    for name, value in exploration.data().items():
        traits[name] = traitlets.Any(value).tag(sync=True)
    # anywidget keeps one style for each class, by module and name
    body = {"exploration": exploration, "_esm": exploration.module, "_css": style()}
    body["_checked"] = traitlets.validate(*exploration.state)(_checked)
    return type(exploration.name, (_Live, anywidget.AnyWidget), body | traits)


def _checked(widget, proposal):
    """A part of the state that is set later, by Python or by the reader, if it makes sense."""
    name = proposal["trait"].name
    return widget.exploration.with_changes(widget.state | {name: proposal["value"]})[name]


class _Shown:
    """Shows itself as the last line of a cell: words and still, the live picture, words."""

    @property
    def state(self):
        """What the reader can change, as it is now."""
        return {name: getattr(self, name) for name in self.exploration.state}

    def _ipython_display_(self):
        from IPython.display import display

        words = self.exploration
        first = self._before + _first(words) + _still(words, self.state)
        display({"text/html": first, "text/plain": words.alt}, raw=True)
        self._display_live(display)
        display({"text/html": _seen(words), "text/plain": words.seen}, raw=True)


class _Still(_Shown):
    _before = f"<p>{STILL_ONLY}</p>"

    def __init__(self, **state):
        vars(self).update(state)

    def _display_live(self, display):
        pass


class _Live(_Shown):
    _before = DEAD

    def _display_live(self, display):
        data, metadata = self._repr_mimebundle_()
        display({WIDGET: data[WIDGET]}, raw=True, metadata=metadata)
