"""Checkpoints: signed roots over what every record says, so that who rewrites a history is found out.

Read in this order: `merkle` (one hash over many leaves), `checkpoint` (what one says and who signed it), `keeping` (a
checkpoint is a record like any other), `heads` (what has changed and is not anchored), `anchoring` (the task).
"""
