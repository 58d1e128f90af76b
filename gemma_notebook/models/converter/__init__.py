"""The stages of a conversion. They run in the converter's own environment, as a package called ``converter``.

Nothing here imports ``gemma_notebook`` or what it needs: the two environments share this code and no more. Each
stage takes a request (JSON on stdin), reports what it does (JSON lines on stdout) and ends with a result or an
error, which :mod:`gemma_notebook.models.stages` reads on the other side.
"""
