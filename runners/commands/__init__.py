"""What a person types: arguments, one function a command, the last words.

`run_study` chooses the command and the backend; `show`, `run_here` and `run_on_slurm` are the
commands; `arguments` turns every mistake into a sentence and an exit code.
"""
