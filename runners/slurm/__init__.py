"""The pool in tasks of a cluster: what is submitted, and what became of it.

SLURM is asked in `client` and nowhere else; `submit` sends arrays, `task` is what a task runs,
`task_status` judges tasks that are over. Private names of submitit are used in `script` only.
"""
