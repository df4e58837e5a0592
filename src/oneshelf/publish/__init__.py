"""Inside → outside: every marketplace outlet shows its offer and, where the merchant switched that on, asks its price.

In: dirty marks, levels, rules, what reads and writes answer. Out: reads and writes, one unanswered write a unit at most; provisional
reservations for sales that a read shows before their order arrives.
Tables it owns: slot, attempt, price_slot, price_attempt, channel_window, planner (and `budget` for the limiter).
Never: writes a number it did not compute at sending, takes no answer for a yes or a no, clears a mark that was set again meanwhile,
publishes to the hub (that is imports).
Read next: planner.py and numbers.py (what each outlet should show), ticking.py (what time moves), strict.py and exposure.py, releasing.py;
waking.py (who must be told), planning.py (what leaves), reads.py and writes.py (what came back), worker.py (the loop).
Prices go the same way beside: price_planning.py, price_settling.py, price_worker.py; carrying.py where price and number are one call.
"""
