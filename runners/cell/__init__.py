"""One cell: data, noise, split, method, training, record.

`run_cell` is the way through; a step runs in `trainer`, the record is made in `record` and
`summary`, `checkpoint` takes up what was cut off.
"""
