"""Tuning: which values are tried, how they are judged, and the files that keep what came out.

`draws.py` makes the study of all draws, `verdicts.py` judges its records, `files.py` writes them.
"""
