"""What a person should know: why a number is what it is, how long things take, whether all is well; and who is told of what needs him.

In: everything the other rooms have stored. Out: explanations, latencies, the overview, alerts. Tables it owns: probe, alert_receiver, alert,
alert_message (tasks and the audit trail are left in `task` and `journal` through db/journal).
Never: changes what another room decided; guesses (null is never 0); says more than we have proof of.
Read next: explain.py, shown.py.
"""
