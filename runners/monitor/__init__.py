"""How a study stands, from its files and SLURM's queue; changes nothing.

`queue` joins the two, `plan_text`, `status`, `progress`, `follow` and `logs` show them.
"""
