"""Prices: what an account lets us do with them, which outlets owe one, and how each was told."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "price_policy",
        sa.Column("tenant_id", _id, nullable=False),
        sa.Column("account_id", _id, nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_by", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "account_id"),
    )
    op.create_table(
        "price_mark",
        sa.Column("tenant_id", _id, nullable=False),
        sa.Column("outlet_id", _id, nullable=False),
        sa.Column("generation", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("since_at", sa.BigInteger(), nullable=False),
        sa.Column("why", sa.Text(), server_default="", nullable=False),
        sa.Column("reread", sa.Integer(), server_default="0", nullable=False),
        sa.Column("taken", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "outlet_id"),
    )
    op.create_index(
        "price_mark_news",
        "price_mark",
        ["tenant_id", "outlet_id"],
        sqlite_where=sa.text("generation > taken"),
        postgresql_where=sa.text("generation > taken"),
    )
    op.create_table(
        "price_slot",
        sa.Column("tenant_id", _id, nullable=False),
        sa.Column("outlet_id", _id, nullable=False),
        sa.Column("account_id", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("write_unit", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="QUIET", nullable=False),
        sa.Column("offer", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.Text(), server_default="", nullable=False),
        sa.Column("priority", sa.BigInteger(), server_default="6", nullable=False),
        sa.Column("since_at", sa.BigInteger(), nullable=True),
        sa.Column("wait_until", sa.BigInteger(), nullable=True),
        sa.Column("believed", sa.BigInteger(), nullable=True),
        sa.Column("believed_at", sa.BigInteger(), nullable=True),
        sa.Column("verified", sa.Integer(), server_default="0", nullable=False),
        sa.Column("sent", sa.BigInteger(), nullable=True),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("acked_at", sa.BigInteger(), nullable=True),
        sa.Column("attempts", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("unseen", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("generation", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("repairs", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("repairs_since", sa.BigInteger(), nullable=True),
        sa.Column("parked", sa.Text(), server_default="", nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "outlet_id"),
    )
    op.create_index("price_slot_by_unit", "price_slot", ["tenant_id", "account_id", "write_unit"])
    op.create_index("price_slot_waiting", "price_slot", ["tenant_id", "account_id", "state", "priority", "since_at"])
    op.create_table(
        "price_attempt",
        sa.Column("tenant_id", _id, nullable=False),
        sa.Column("attempt_no", _id, nullable=False),
        sa.Column("outlet_id", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("account_id", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("price_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("was", sa.BigInteger(), nullable=True),
        sa.Column("generation", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("dirty_at", sa.BigInteger(), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("accepted_at", sa.BigInteger(), nullable=True),
        sa.Column("seen_at", sa.BigInteger(), nullable=True),
        sa.Column("outcome", sa.Text(), server_default="SENDING", nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("why", sa.Text(), server_default="{}", nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "attempt_no"),
    )
    op.create_index("price_attempt_by_account", "price_attempt", ["tenant_id", "account_id", "started_at"])
    op.create_index("price_attempt_by_outlet", "price_attempt", ["tenant_id", "outlet_id", "attempt_no"])
