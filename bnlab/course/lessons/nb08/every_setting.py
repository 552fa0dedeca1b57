"""One answer for several settings that a part of a claim is about."""


def in_every_setting(answers):
    """True if it holds in each of them, False if it fails in one, else None.

    >>> in_every_setting([True, None, False]), in_every_setting([True, None])
    (False, None)
    """
    answers = list(answers)
    return False if False in answers else None if None in answers else True
