"""What one order counts for its customer (SEMANTICS 11.4, I23). Pure: from what is stored of the order, so that a recount agrees.

An order counts once, from when it is paid, while something of it is wanted; a cancel of all of it takes it back. Spend is what the buyer
was charged for the whole order; what was given back stands beside it.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from .facts import Money, OrderSeen, Payment


class Purchase(msgspec.Struct, frozen=True, gc=False):
    """Pieces: of our SKUs where linked, else units of the listing. Money in minor units of `currency`, '' while the money is not known."""

    counted: bool
    pieces: int = 0
    currency: str = ""
    spend_minor: int = 0
    refunded_minor: int = 0


NOTHING = Purchase(counted=False)


class _Line(msgspec.Struct, gc=False):
    line_id: str
    ordered: int
    cancelled: int = 0
    shipped: int = 0


class _Document(msgspec.Struct, gc=False):
    """Of a stored snapshot what a purchase is made of."""

    lines: tuple[_Line, ...] = ()
    cancelled: bool = False
    refunded: Money | None = None


_decode = msgspec.json.Decoder(_Document).decode


def _read(document: str) -> _Document:
    try:
        return _decode(document)
    except msgspec.MsgspecError:  # written by another version: what the rows say is all there is
        return _Document()


def purchase(
    *,
    payment: str,
    currency: str | None,
    total_minor: int | None,
    document: str | OrderSeen,
    wanted: Mapping[str, int],
) -> Purchase:
    """Return what an order counts. `wanted`: line id → pieces ordered and not cancelled, of the lines that have rows; the others (digital,
    sent by the channel) are counted in units of the snapshot. `document`: as it is stored, or the snapshot that it was written from."""
    seen = _read(document) if isinstance(document, str) else document
    pieces = sum(wanted.values())
    for line in seen.lines:
        if line.line_id not in wanted:
            pieces += line.shipped if seen.cancelled else max(0, line.ordered - line.cancelled)
    if payment != Payment.PAID or pieces <= 0:
        return NOTHING
    if currency is None or total_minor is None:
        return Purchase(True, pieces)
    back = seen.refunded.minor if seen.refunded is not None and seen.refunded.currency == currency else 0
    return Purchase(True, pieces, currency, total_minor, back)
