"""Running a program that is not trusted to end: supervision, limits and capped output.

`supervisor`, `limits` and `logs` run in a process of their own and import nothing but the
standard library; `program` is the agent's side of it.
"""
