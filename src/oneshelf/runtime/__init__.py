"""How the product meets the world's time and network.

In: settings.
Out: a clock, a transport for outgoing calls, log lines without secrets, one writer, workers.
Tables: none.
Never: decides anything about stock.
Read next: clock.py, transport.py, logs.py.
"""
