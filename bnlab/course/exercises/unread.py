"""Notice that the cell before the check was no Python: the check then sees an older version."""

import re
import sys

__all__ = ["unread"]


def unread(name):
    """A sentence if the cell that ran last defines this name and Python could not read it, or "".

    >>> unread("batchnorm_forward")  # no notebook, no cell
    ''
    """
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    result = getattr(shell, "last_execution_result", None)
    error = getattr(result, "error_before_exec", None)
    if not isinstance(error, SyntaxError):
        return ""
    if not re.search(rf"^(def |class )?{re.escape(name)}\b", result.info.raw_cell, re.MULTILINE):
        return ""
    return (
        f"The cell that you ran before this one has a {type(error).__name__} in line "
        f"{error.lineno} ({error.msg}), so this is about the version before it. "
    )
