"""Parcels told to marketplaces, decisions about short lines, what a hub copy was told."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_index(
        "orders_by_deadline",
        "orders",
        ["tenant_id", "ship_by_at"],
        unique=False,
        sqlite_where=sa.text("ship_by_at IS NOT NULL"),
        postgresql_where=sa.text("ship_by_at IS NOT NULL"),
    )
    op.create_table(
        "decision",
        sa.Column("tenant_id", number, nullable=False),
        sa.Column("order_no", number, nullable=False),
        sa.Column("line_id", sa.Text(), nullable=False),
        sa.Column("word", sa.Text(), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=False),
        sa.Column("until_at", sa.BigInteger(), nullable=True),
        sa.Column("actor", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "order_no", "line_id"),
    )
    op.create_table(
        "copy_told",
        sa.Column("tenant_id", number, nullable=False),
        sa.Column("order_no", number, nullable=False),
        sa.Column("told", sa.Text(), server_default="{}", nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "order_no"),
    )
    op.create_table(
        "shipment",
        sa.Column("tenant_id", number, nullable=False),
        sa.Column("order_no", number, nullable=False),
        sa.Column("shipment_id", sa.Text(), nullable=False),
        sa.Column("line_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("units", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("state", sa.Text(), server_default="QUEUED", nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("sent_version", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("told_version", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("carrier", sa.Text(), server_default="", nullable=False),
        sa.Column("tracking_number", sa.Text(), server_default="", nullable=False),
        sa.Column("tracking_url", sa.Text(), server_default="", nullable=False),
        sa.Column("shipped_at", sa.BigInteger(), nullable=False),
        sa.Column("reference", sa.Text(), server_default="", nullable=False),
        sa.Column("cancelled", sa.Integer(), server_default="0", nullable=False),
        sa.Column("looked", sa.Integer(), server_default="0", nullable=False),
        sa.Column("attempts", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("not_found", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("first_sent_at", sa.BigInteger(), nullable=True),
        sa.Column("settled_at", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "order_no", "shipment_id", "line_id"),
    )
    op.create_index("shipment_due", "shipment", ["tenant_id", "account_id", "state", "due_at"], unique=False)
