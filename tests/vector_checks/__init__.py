"""Quantities of reference vectors, computed by the methods of the suite."""
