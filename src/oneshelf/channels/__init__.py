"""The only room that speaks a marketplace's language.

In: raw messages; offers and orders to carry out, in our words. Out: facts, what outlets show, outcomes.
Tables it owns: none. Never: sleeps, retries, paces, stores, or knows another connector.
Read next: contract.py, then one connector folder (each readable in one sitting).
"""
