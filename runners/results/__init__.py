"""What lies on disk of a study: folders, records, failures, leases, and what they say of a cell.

`store` has the files and states, `plan` what a run would do, `leases` who runs what, `provenance`
the fingerprint of the code. No torch.
"""
