"""Outside → inside.

In: webhooks, queue messages, polled pages. Out: inbox rows, and from them booked facts.
Tables it owns: inbox, feed.
Never: acts on a message before it is stored; decides inside a request; drops what it can't read.
Read next: inbox.py, webhook.py, poll.py, handle.py.
"""
