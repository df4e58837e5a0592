"""Tokens of the API and what was answered to a repeated write; changes of many that can be taken back; webhooks that we send."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "api_token",
        sa.Column("tenant_id", _id, nullable=False),
        sa.Column("token_no", _id, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "token_no"),
    )
    op.create_table(
        "api_answer",
        sa.Column("tenant_id", _id, nullable=False),
        sa.Column("token_no", _id, nullable=False),
        sa.Column("idempotency_key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("status", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "token_no", "idempotency_key"),
    )
    op.create_index("api_answer_by_age", "api_answer", ["tenant_id", "created_at"])
    op.create_table(
        "bulk_change",
        sa.Column("tenant_id", _id, nullable=False),
        sa.Column("change_no", _id, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("changed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("before", sa.Text(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("undone_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "change_no"),
    )
    op.create_table(
        "event",
        sa.Column("tenant_id", _id, nullable=False),
        sa.Column("event_no", _id, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("ids", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "event_no"),
    )
    op.create_index("event_by_time", "event", ["tenant_id", "at"])
    op.create_table(
        "webhook_endpoint",
        sa.Column("tenant_id", _id, nullable=False),
        sa.Column("endpoint_no", _id, nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("kinds", sa.Text(), server_default="[]", nullable=False),
        sa.Column("about", sa.Text(), server_default="", nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.Text(), server_default="ACTIVE", nullable=False),
        sa.Column("why", sa.Text(), server_default="", nullable=False),
        sa.Column("next_event", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("failures", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("failing_since", sa.BigInteger(), nullable=True),
        sa.Column("rest_until", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "endpoint_no"),
    )
    op.create_table(
        "webhook_delivery",
        sa.Column("tenant_id", _id, nullable=False),
        sa.Column("endpoint_no", _id, nullable=False),
        sa.Column("event_no", _id, nullable=False),
        sa.Column("state", sa.Text(), server_default="WAITING", nullable=False),
        sa.Column("tries", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("due_at", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("status", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("problem", sa.Text(), server_default="", nullable=False),
        sa.Column("done_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "endpoint_no", "event_no"),
    )
    op.create_index("webhook_delivery_due", "webhook_delivery", ["tenant_id", "endpoint_no", "state", "due_at"])
