"""The first minute: emulator, service and shoppers on one machine.

In: a seed and a number of seconds. Out: a live view, and a summary that an independent count of the marketplaces agrees with.
Tables it owns: none.
Never: imports the emulator (it is a process of its own); uses another way to connect than a merchant does.
Read next: emulator.py, run.py, summary.py, scenarios.py.
"""
