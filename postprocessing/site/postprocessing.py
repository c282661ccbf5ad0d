"""Lets a script import `postprocessing.publish_plot`, and sees nothing else of our tree.

A module with a `__path__` is a package: its parts are found in the real folder, while the folders
beside it (the web pages, the manager) stay off the script's path.
"""

from pathlib import Path

__path__ = [str(Path(__file__).resolve().parents[1])]
