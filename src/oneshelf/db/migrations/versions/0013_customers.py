"""Customers: profiles across channels, what they are known by, whose an order is, suggestions, stages."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "customer",
        sa.Column("tenant_id", _id, nullable=False),
        sa.Column("customer_no", _id, nullable=False),
        sa.Column("root_no", sa.BigInteger(), nullable=False),
        sa.Column("merged_into", sa.BigInteger(), nullable=True),
        sa.Column("merged_at", sa.BigInteger(), nullable=True),
        sa.Column("over_stage", sa.Text(), server_default="", nullable=False),
        sa.Column("over_stage_at", sa.BigInteger(), nullable=True),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("in_hub", sa.Integer(), server_default="0", nullable=False),
        sa.Column("purchases", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("pieces", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=True),
        sa.Column("last_at", sa.BigInteger(), nullable=True),
        sa.Column("stage", sa.Text(), server_default="", nullable=False),
        sa.Column("stage_why", sa.Text(), server_default="", nullable=False),
        sa.Column("stage_at", sa.BigInteger(), nullable=True),
        sa.Column("stage_due_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "customer_no"),
    )
    op.create_index("customer_by_root", "customer", ["tenant_id", "root_no"])
    op.create_index(
        "customer_stage_due",
        "customer",
        ["tenant_id", "stage_due_at"],
        sqlite_where=sa.text("stage_due_at IS NOT NULL"),
        postgresql_where=sa.text("stage_due_at IS NOT NULL"),
    )
    op.create_table(
        "customer_sign",
        sa.Column("tenant_id", _id, nullable=False),
        sa.Column("sign", sa.Text(), nullable=False),
        sa.Column("customer_no", _id, nullable=False),
        sa.Column("family", sa.Text(), nullable=False),
        sa.Column("order_no", sa.BigInteger(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "sign", "customer_no", "family"),
    )
    op.create_index("customer_sign_by_customer", "customer_sign", ["tenant_id", "customer_no"])
    op.create_table(
        "customer_order",
        sa.Column("tenant_id", _id, nullable=False),
        sa.Column("order_no", _id, nullable=False),
        sa.Column("customer_no", sa.BigInteger(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("placed_at", sa.BigInteger(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("matched_at", sa.BigInteger(), nullable=False),
        sa.Column("told", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("counted", sa.Integer(), server_default="0", nullable=False),
        sa.Column("pieces", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("currency", sa.Text(), server_default="", nullable=False),
        sa.Column("spend_minor", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("refunded_minor", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "order_no"),
    )
    op.create_index("customer_order_by_customer", "customer_order", ["tenant_id", "customer_no"])
    op.create_table(
        "customer_suggestion",
        sa.Column("tenant_id", _id, nullable=False),
        sa.Column("first_no", _id, nullable=False),
        sa.Column("second_no", _id, nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("sure", sa.Text(), nullable=False),
        sa.Column("conflict", sa.Integer(), server_default="0", nullable=False),
        sa.Column("order_no", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("decided_by", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "first_no", "second_no"),
    )
    op.create_index("customer_suggestion_by_state", "customer_suggestion", ["tenant_id", "state"])
    op.create_table(
        "stage_change",
        sa.Column("tenant_id", _id, nullable=False),
        sa.Column("customer_no", _id, nullable=False),
        sa.Column("change_no", _id, nullable=False),
        sa.Column("before", sa.Text(), nullable=False),
        sa.Column("after", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "customer_no", "change_no"),
    )
    op.create_table(
        "customer_rule",
        sa.Column("tenant_id", _id, nullable=False),
        sa.Column("new_days", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("loyal_purchases", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("vip_purchases", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("vip_spend_minor", sa.BigInteger(), nullable=True),
        sa.Column("vip_currency", sa.Text(), server_default="", nullable=False),
        sa.Column("at_risk_days", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("lapsed_days", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("tenant_id"),
    )
