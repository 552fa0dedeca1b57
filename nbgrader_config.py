"""Settings for grading the notebooks with nbgrader; copy this file to your course folder."""

c = get_config()  # noqa: F821  (nbgrader defines it where it reads this file)

# Our exercises are stubs already, with a signature and a docstring. nbgrader would replace each of
# them by its own "raise NotImplementedError()", and the learner could not know what to write.
c.ClearSolutions.enabled = False

# A check that a learner has deleted is put back and fails. Without this, nbgrader leaves its points
# open and waits for a person to grade it.
c.OverwriteCells.add_missing_cells = True

# Seconds for one cell. nbgrader gives 30; a learner's loop on a busy machine may take longer.
c.Execute.timeout = 120
