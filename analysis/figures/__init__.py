"""Figures of a study, a file a subject; `panels.py` is what they share."""
