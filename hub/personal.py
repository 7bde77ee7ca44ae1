"""What a person keeps in the hub beside alerts: watch lists, holdings, digests. Implements hub.plugin.Personal.

Everything is for the request's person. Depends on the ledger.
"""

from collections.abc import Callable

from hub.ledger import Ledger


class Personal:
    def __init__(self, ledger: Ledger, clock: Callable[[], int]) -> None:
        self._ledger = ledger
        self._now = clock
