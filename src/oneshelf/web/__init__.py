"""Pages, and the door they stand behind.

In: requests of a browser on this machine. Out: pages, live changes, /healthz. Tables it owns: none; it only reads.
Never: writes a row; shows a page to a Host it was not told of (there is no login yet); lets a page run anything that is not a file of ours.
Read next: app.py, pages.py, live.py.
"""
