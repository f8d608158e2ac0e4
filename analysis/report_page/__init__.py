"""The page that `analysis/report.py` writes: data, words, template, style and script."""
