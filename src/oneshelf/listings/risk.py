"""How careful the merchant wants us to be: strict SKUs, what an oversell costs him, which locations serve a channel (SEMANTICS 0.2,
2.7, 2.9).

In: his words. Out: what the planner asks for. Tables it owns: strict_sku, risk, account_location.
Never: computes an offer.
"""

from __future__ import annotations

from collections.abc import Iterable

from oneshelf.core.reserve import Risk, epsilon_of_money
from oneshelf.db.journal import note
from oneshelf.db.tx import Tx

from . import dirty
from .policy import EVERY_SKU


def strict_skus(tx: Tx, tenant_id: int, skus: Iterable[str] | None = None) -> set[str]:
    """Return the strict SKUs (of these; None: all)."""
    if skus is None:
        rows = tx.all("SELECT sku FROM strict_sku WHERE tenant_id = :t", t=tenant_id)
    else:
        rows = tx.all(
            "SELECT sku FROM strict_sku WHERE tenant_id = :t AND sku {in:skus}", t=tenant_id, skus=sorted(skus)
        )
    return {sku for (sku,) in rows}


def set_strict(tx: Tx, tenant_id: int, sku: str, strict: bool, now: int, *, by: str) -> bool:
    """Say that a SKU must never be oversold, or take that back. False: it was so already. Raises LookupError for an unknown SKU."""
    known = tx.one("SELECT 1 FROM item WHERE tenant_id = :t AND sku = :s", t=tenant_id, s=sku)
    if known is None:
        raise LookupError(f"there is no SKU {sku} on the shelf")
    if strict:
        changed = tx.run(
            "INSERT INTO strict_sku (tenant_id, sku, since_at) VALUES (:t, :s, :now) ON CONFLICT (tenant_id, sku) DO NOTHING",
            t=tenant_id,
            s=sku,
            now=now,
        )
    else:
        changed = tx.run("DELETE FROM strict_sku WHERE tenant_id = :t AND sku = :s", t=tenant_id, s=sku)
    if changed != 1:
        return False
    note(tx, tenant_id, now, by, "A SKU is strict" if strict else "A SKU is strict no more", f"sku:{sku}")
    dirty.mark(tx, tenant_id, [sku], now, "strict changed")
    return True


def risks_of(tx: Tx, tenant_id: int, skus: Iterable[str]) -> dict[str, Risk]:
    """Return the risk that the merchant takes with each SKU: its own, else that for every SKU, else ours."""
    wanted = list(skus)
    rows = tx.all(
        "SELECT sku, margin_minor, oversold_minor FROM risk WHERE tenant_id = :t AND sku {in:skus}",
        t=tenant_id,
        skus=[*wanted, EVERY_SKU],
    )
    if not rows:
        none = Risk()
        return dict.fromkeys(wanted, none)
    said = {sku: Risk(epsilon=epsilon_of_money(margin, oversold)) for sku, margin, oversold in rows}
    ours = said.get(EVERY_SKU, Risk())
    return {sku: said.get(sku, ours) for sku in wanted}


def set_risk(tx: Tx, tenant_id: int, sku: str, money: tuple[int, int] | None, now: int, *, by: str) -> float | None:
    """Keep what an unsold piece and an oversold order of a SKU ("": every) cost, in minor units; None takes it back.

    Returns the ε that follows, None if there was nothing to take back. Raises ValueError on a bad number.
    """
    if money is None:
        dropped = tx.run("DELETE FROM risk WHERE tenant_id = :t AND sku = :s", t=tenant_id, s=sku)
        if not dropped:
            return None
        epsilon = risks_of(tx, tenant_id, [sku])[sku].epsilon
    else:
        epsilon = epsilon_of_money(*money)
        tx.run(
            """INSERT INTO risk (tenant_id, sku, margin_minor, oversold_minor) VALUES (:t, :s, :m, :o)
               ON CONFLICT (tenant_id, sku) DO UPDATE SET margin_minor = excluded.margin_minor, oversold_minor = excluded.oversold_minor""",
            t=tenant_id,
            s=sku,
            m=money[0],
            o=money[1],
        )
    note(tx, tenant_id, now, by, "The cost of an oversell set", f"sku:{sku}", money=money, epsilon=epsilon)
    _mark(tx, tenant_id, sku, now, "the cost of an oversell changed")
    return epsilon


def _mark(tx: Tx, tenant_id: int, sku: str, now: int, why: str) -> None:
    if sku != EVERY_SKU:
        dirty.mark(tx, tenant_id, [sku], now, why)
        return
    # Nobody needs a reserve whose SKU has never sold.
    rows = tx.all("SELECT DISTINCT sku FROM pace WHERE tenant_id = :t", t=tenant_id)
    dirty.mark(tx, tenant_id, [one for (one,) in rows], now, why)


def locations_of(tx: Tx, tenant_id: int) -> dict[int, set[str]]:
    """Return {account: the locations that serve it}, of the accounts that are not served by all in scope."""
    only: dict[int, set[str]] = {}
    without: dict[int, set[str]] = {}
    for account_id, location_id, excluded in tx.all(
        "SELECT account_id, location_id, excluded FROM account_location WHERE tenant_id = :t", t=tenant_id
    ):
        (without if excluded else only).setdefault(account_id, set()).add(location_id)
    if without:
        every = {one for (one,) in tx.all("SELECT location_id FROM location WHERE tenant_id = :t", t=tenant_id)}
        for account_id, names in without.items():
            only[account_id] = only.get(account_id, every) - names
    return only


def set_locations(
    tx: Tx,
    tenant_id: int,
    account_id: int,
    location_ids: Iterable[str],
    now: int,
    *,
    by: str,
    excluded: Iterable[str] = (),
) -> None:
    """Say which locations serve an account: these, all but `excluded`, or (neither given) all in scope. One that the shop opens later
    serves an account that excludes, and does not serve one that names its own.

    Raises LookupError for one that the shop does not have, ValueError if both are given.
    """
    wanted, without = sorted(set(location_ids)), sorted(set(excluded))
    if wanted and without:
        raise ValueError("name the locations that serve the account, or those that do not, not both")
    known = {
        row[0] for row in tx.all("SELECT location_id FROM location WHERE tenant_id = :t AND active = 1", t=tenant_id)
    }
    if missing := [one for one in (*wanted, *without) if one not in known]:
        raise LookupError(f"the shop has no active location {', '.join(missing)}")
    tx.run("DELETE FROM account_location WHERE tenant_id = :t AND account_id = :a", t=tenant_id, a=account_id)
    tx.many(
        "INSERT INTO account_location (tenant_id, account_id, location_id, excluded) VALUES (?, ?, ?, ?)",
        [(tenant_id, account_id, location_id, int(bool(without))) for location_id in wanted or without],
    )
    note(
        tx,
        tenant_id,
        now,
        by,
        "The locations of an account set",
        f"account:{account_id}",
        locations=wanted,
        excluded=without,
    )
    rows = tx.all(
        """SELECT DISTINCT o.outlet_id FROM outlet o JOIN link k ON k.tenant_id = o.tenant_id AND k.outlet_id = o.outlet_id
            WHERE o.tenant_id = :t AND o.account_id = :a AND o.fulfilled_by_channel = 0""",
        t=tenant_id,
        a=account_id,
    )
    dirty.mark_outlets(tx, tenant_id, [one for (one,) in rows], now, "its locations changed")
