"""Moving in: an installation of the system that WebMon replaces is copied, set-wise.

Rows are streamed from there with COPY into temporary tables, and from those into ours with one
statement per kind, a few thousand runs in one transaction. What was moved is known by its number
there (`models.ImportedRun`), so that a stopped import continues and a later one brings what is new.
"""
