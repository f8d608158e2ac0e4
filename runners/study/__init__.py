"""From a YAML file to the cells of its grid; every mistake in it is explained here.

`config.load_study` reads and checks, `schema` has every key, `problems` words the mistakes, `grid`
expands the axes into `cell.Cell`s, whose key names their results.
"""
