"""What a person should know: why a number is what it is, how long things take, whether all is well.

In: everything the other rooms have stored. Out: explanations, latencies, the overview. Tables it owns: none (tasks and the audit trail
are left in `task` and `journal` through db/journal).
Never: changes a row; guesses (null is never 0); says more than we have proof of.
Read next: explain.py, shown.py.
"""
