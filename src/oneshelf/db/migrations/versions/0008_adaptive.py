"""Adaptive offers: paces, windows, announced sales, strict SKUs, risk, locations of an account; releases of hub copies."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "pace",
        sa.Column("tenant_id", _id, nullable=False),
        sa.Column("sku", sa.Text(), nullable=False),
        sa.Column("outlet_id", _id, nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("orders", sa.Double(), nullable=False),
        sa.Column("pieces", sa.Double(), nullable=False),
        sa.Column("burst", sa.Double(), nullable=False),
        sa.Column("burst_hour", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "sku", "outlet_id"),
    )
    op.create_index("pace_bursting", "pace", ["tenant_id", "burst_hour"])
    op.create_index("pace_by_account", "pace", ["tenant_id", "account_id"])
    op.create_table(
        "channel_window",
        sa.Column("tenant_id", _id, nullable=False),
        sa.Column("account_id", _id, nullable=False),
        sa.Column("notice", sa.BigInteger(), nullable=False),
        sa.Column("publish", sa.BigInteger(), nullable=False),
        sa.Column("grace", sa.BigInteger(), nullable=False),
        sa.Column("absolute", sa.Integer(), server_default="1", nullable=False),
        sa.Column("deaf", sa.Text(), server_default="[]", nullable=False),
        sa.Column("median", sa.Double(), server_default="0", nullable=False),
        sa.Column("measured_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "account_id"),
    )
    op.create_table(
        "planner",
        sa.Column("tenant_id", _id, nullable=False),
        sa.Column("ticked_at", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("nightly_at", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("tenant_id"),
    )
    op.create_table(
        "strict_sku",
        sa.Column("tenant_id", _id, nullable=False),
        sa.Column("sku", sa.Text(), nullable=False),
        sa.Column("since_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "sku"),
    )
    op.create_table(
        "risk",
        sa.Column("tenant_id", _id, nullable=False),
        sa.Column("sku", sa.Text(), nullable=False),
        sa.Column("margin_minor", sa.BigInteger(), nullable=False),
        sa.Column("oversold_minor", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "sku"),
    )
    op.create_table(
        "announced_sale",
        sa.Column("tenant_id", _id, nullable=False),
        sa.Column("sale_no", _id, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("starts_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.Column("factor", sa.Double(), nullable=False),
        sa.Column("called_off_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "sale_no"),
    )
    op.create_index("announced_sale_by_end", "announced_sale", ["tenant_id", "ends_at"])
    op.create_table(
        "announced_sku",
        sa.Column("tenant_id", _id, nullable=False),
        sa.Column("sale_no", _id, nullable=False),
        sa.Column("sku", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "sale_no", "sku"),
    )
    op.create_index("announced_sku_by_sku", "announced_sku", ["tenant_id", "sku"])
    op.create_table(
        "account_location",
        sa.Column("tenant_id", _id, nullable=False),
        sa.Column("account_id", _id, nullable=False),
        sa.Column("location_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "account_id", "location_id"),
    )
    op.create_table(
        "release",
        sa.Column("tenant_id", _id, nullable=False),
        sa.Column("order_no", _id, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("since_at", sa.BigInteger(), nullable=False),
        sa.Column("released_at", sa.BigInteger(), nullable=True),
        sa.Column("why", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "order_no"),
    )
    op.create_index("release_waiting", "release", ["tenant_id", "state", "order_no"])
    op.add_column("slot", sa.Column("unsettled", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("slot", sa.Column("unsettled_until", sa.BigInteger(), nullable=True))
    op.add_column("slot", sa.Column("v", sa.Double(), server_default="0", nullable=False))
    op.add_column("offer_policy", sa.Column("adaptive", sa.Integer(), server_default="1", nullable=False))
    op.add_column("offer_policy", sa.Column("cap_auto", sa.Integer(), server_default="0", nullable=False))
