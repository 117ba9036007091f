"""Executes a notebook, and fails as its cells do.

    NICHO_RUN=run.h5 python tests/python/notebook.py docs/iris.ipynb [OUTPUT.ipynb]

With OUTPUT what the cells printed and drew is kept in it.
"""

import sys

import nbformat
from nbclient import NotebookClient

notebook = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
pictures = sum("image/png" in output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", []))
for cell in notebook.cells:
    cell.get("metadata", {}).pop("execution", None)  # times of day
for output in sys.argv[2:]:
    nbformat.write(notebook, output)
print(f"{len(notebook.cells)} cells, {pictures} pictures: good")
