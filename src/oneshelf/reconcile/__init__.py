"""Is it true?

In: what outlets and the hub really show. Out: provisionals, edits in the hub as facts, repairs at marketplaces, an audit.
Tables it owns: hub_level.
Never: writes a number anywhere; takes a difference for news before the feed is complete.
Read next: hub.py, judge.py, sweep.py.
"""
