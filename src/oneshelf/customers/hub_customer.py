"""Which customer of the shop a marketplace order belongs to, so that its copy stands there under him (SEMANTICS 11.2, 11.3).

In: an order. Out: the shop's own id of its customer, or None: then the shop finds or makes one by the real e-mail, or the copy has none.
Never: names a customer by a relay address; merges the shop's customers: where a person merged two of them here, the order's own is taken.
"""

from __future__ import annotations

import msgspec

from oneshelf.core.ids import HUB
from oneshelf.core.person import Person
from oneshelf.db.tx import Tx

_person = msgspec.json.Decoder(Person).decode
#: Orders in the shop that are looked at for one that still names its customer.
LOOKED_AT = 20


def hub_customer_of(tx: Tx, tenant_id: int, order_no: int) -> str | None:
    """Return the shop's id of the customer whose order this is, as the shop's latest order says."""
    rows = tx.all(
        """SELECT o.person FROM customer_order mine
             JOIN customer me ON me.tenant_id = mine.tenant_id AND me.customer_no = mine.customer_no
             JOIN customer part ON part.tenant_id = me.tenant_id AND part.root_no = me.root_no
             JOIN customer_order k ON k.tenant_id = part.tenant_id AND k.customer_no = part.customer_no AND k.channel = :hub
             JOIN orders o ON o.tenant_id = k.tenant_id AND o.order_no = k.order_no
            WHERE mine.tenant_id = :t AND mine.order_no = :no AND o.person <> '{}'
            ORDER BY CASE WHEN k.customer_no = mine.customer_no THEN 0 ELSE 1 END, o.placed_at DESC, o.order_no DESC LIMIT :n""",
        t=tenant_id,
        no=order_no,
        hub=str(HUB),
        n=LOOKED_AT,
    )
    for (text,) in rows:
        buyer = _person(text).buyer
        if buyer is not None and buyer.channel_buyer_id:
            return buyer.channel_buyer_id
    return None
