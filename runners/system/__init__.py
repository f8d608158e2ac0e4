"""Files, processes, signals and errors: what the other rooms stand on. Knows no study and no cell.

Atomic and checked files (`files`), which process is which (`processes`), how a run is asked to end
(`signals`), one JSON text a value (`canonical`), errors that are sentences (`errors`).
"""
