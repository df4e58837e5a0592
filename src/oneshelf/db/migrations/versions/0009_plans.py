"""Plans of tenants, what was used, who is told of tasks and what was told."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "plan",
        sa.Column("tenant_id", _id, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("since_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_by", sa.Text(), server_default="", nullable=False),
        sa.Column("frozen", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("tenant_id"),
    )
    op.create_table(
        "usage_day",
        sa.Column("tenant_id", _id, nullable=False),
        sa.Column("day", _id, nullable=False),
        sa.Column("account_id", _id, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("count", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "day", "account_id", "name"),
    )
    op.add_column("task", sa.Column("closed_by", sa.Text(), server_default="", nullable=False))
    op.add_column("task", sa.Column("snoozed_until", sa.BigInteger(), nullable=True))
    op.create_table(
        "alert_receiver",
        sa.Column("tenant_id", _id, nullable=False),
        sa.Column("receiver_no", _id, nullable=False),
        sa.Column("way", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("least", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("quiet_from", _id, nullable=True),
        sa.Column("quiet_until", _id, nullable=True),
        sa.Column("timezone", sa.Text(), server_default="UTC", nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
        sa.Column("removed_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "receiver_no"),
    )
    op.create_table(
        "alert",
        sa.Column("tenant_id", _id, nullable=False),
        sa.Column("receiver_no", _id, nullable=False),
        sa.Column("task_no", _id, nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("urgent", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), server_default="NEW", nullable=False),
        sa.Column("message_no", _id, nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "receiver_no", "task_no", "stage"),
    )
    op.create_index("alert_by_state", "alert", ["tenant_id", "state", "receiver_no"])
    op.create_table(
        "alert_message",
        sa.Column("tenant_id", _id, nullable=False),
        sa.Column("message_no", _id, nullable=False),
        sa.Column("receiver_no", _id, nullable=False),
        sa.Column("message_key", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="WAITING", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("problem", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "message_no"),
    )
    op.create_index("alert_message_by_state", "alert_message", ["tenant_id", "state", "receiver_no"])
