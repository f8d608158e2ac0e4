"""What the benchmark scripts share, and double backward as the opponent of the look-ahead.

Measured times lie in `results/speed`.
"""
