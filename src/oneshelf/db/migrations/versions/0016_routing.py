"""Locations as routing sees them, its policy and decisions; bundles by SKU; locations that do not serve an account."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _words(name: str, default: str | None = None) -> sa.Column:
    return sa.Column(name, sa.Text(), server_default=default, nullable=False)


def upgrade() -> None:
    op.create_table(
        "location_profile",
        sa.Column("tenant_id", _id, nullable=False),
        _words("location_id"),
        _words("street", ""),
        _words("city", ""),
        _words("postal_code", ""),
        _words("region", ""),
        _words("country", ""),
        _words("address_source", ""),
        sa.Column("latitude", sa.Double(), nullable=True),
        sa.Column("longitude", sa.Double(), nullable=True),
        _words("point_source", ""),
        sa.Column("capacity", sa.BigInteger(), nullable=True),
        _words("capacity_unit", "orders"),
        _words("cut_off", ""),
        _words("timezone", ""),
        sa.Column("cost_minor", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "location_id"),
    )
    op.create_table(
        "routing_policy",
        sa.Column("tenant_id", _id, nullable=False),
        _words("router"),
        _words("criteria"),
        sa.Column("split", sa.Integer(), server_default="1", nullable=False),
        sa.PrimaryKeyConstraint("tenant_id"),
    )
    op.create_table(
        "route",
        sa.Column("tenant_id", _id, nullable=False),
        sa.Column("order_no", _id, nullable=False),
        sa.Column("version", _id, nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=False),
        _words("why"),
        _words("places"),
        _words("said"),
        _words("excluded", "{}"),
        _words("distance_from", ""),
        _words("state"),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("settled_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "order_no", "version"),
    )
    op.create_table(
        "bundle_part",
        sa.Column("tenant_id", _id, nullable=False),
        _words("sku"),
        _words("part_sku"),
        sa.Column("units", sa.BigInteger(), nullable=False),
        _words("source"),
        sa.PrimaryKeyConstraint("tenant_id", "sku", "part_sku"),
    )
    op.create_index("bundle_part_by_part", "bundle_part", ["tenant_id", "part_sku"])
    op.add_column("account_location", sa.Column("excluded", sa.Integer(), server_default="0", nullable=False))
