"""Routing: which location sends what."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double

from .form import Id, at, flag, maybe, table, words

# What routing knows of a location beside its name and priority. The address is the merchant's own; coordinates are degrees.
# address_source, point_source: who said so, merchant | shopify | city | postal area, '' nobody. The merchant's word is never overwritten.
# capacity: orders or pieces a day (capacity_unit), NULL no limit. cut_off: "HH:MM" in timezone. cost_minor: of a parcel, shop currency.
location_profile = table(
    "location_profile",
    words("location_id"),
    words("street", ""),
    words("city", ""),
    words("postal_code", ""),
    words("region", ""),
    words("country", ""),
    words("address_source", ""),
    Column("latitude", Double, nullable=True),
    Column("longitude", Double, nullable=True),
    words("point_source", ""),
    Column("capacity", BigInteger, nullable=True),
    words("capacity_unit", "orders"),
    words("cut_off", ""),
    words("timezone", ""),
    Column("cost_minor", BigInteger, nullable=True),
    keys=2,
)

# How the tenant's orders are routed. router: shopify (it decides, we follow) | oneshelf. criteria: JSON, in order.
routing_policy = table("routing_policy", words("router"), words("criteria"), flag("split", "1"), keys=1)

# A decision. places: {line key: location id}; said: what each criterion said; excluded: {location id: why} for this order.
# distance_from: what the way was measured to (city, postal area), '' unknown; no address is kept.
# state: WANTED (to be carried out in the hub), DONE, REFUSED, OVERRULED (moved by hand there), OVER (replaced, or nothing open).
route = table(
    "route",
    Column("order_no", Id),
    Column("version", Id),
    at("decided_at", False),
    words("why"),
    words("places"),
    words("said"),
    words("excluded", "{}"),
    words("distance_from", ""),
    words("state"),
    maybe("reason"),
    at("settled_at"),
    keys=3,
)
