"""Puts the rooms together: the only place that knows which connectors exist, and that starts their loops.

In: settings. Out: a running service. Tables it owns: none. Never: decides.
Read next: service.py (the whole in one process), loops.py (what runs for an account), connectors.py.
"""

from oneshelf.onboarding.signing_in import SignInState as SignInState

from .connectors import CONNECTORS as CONNECTORS
from .connectors import SIGN_INS as SIGN_INS
from .connectors import build_channel as build_channel
from .running import Running as Running
from .service import Machine as Machine
from .service import Service as Service
