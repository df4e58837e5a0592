"""Pages and the REST API, and the doors they stand behind.

In: requests of a browser on this machine; of programs, with a token. Out: pages, live changes, /healthz; the API's answers. Tables it owns:
api_answer. Never: decides; shows a page to a Host it was not told of (there is no login yet); lets a page run anything that is not a file of ours.
Read next: app.py, pages.py, live.py; commands.py, api/.
"""
