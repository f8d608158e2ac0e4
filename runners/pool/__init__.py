"""Worker processes that run cells: one queue of jobs, one worker a device, a log a cell.

`pool` starts and ends workers, `worker` runs one job under its lease, `job_queue` says what is
left, also where other runners work on the same folder.
"""
