"""The kit for instructors, built from the notebooks: plans, builds, hand-outs and slides."""
