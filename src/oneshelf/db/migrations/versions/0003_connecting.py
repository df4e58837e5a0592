"""Sign-ins under way, what is done over and over at an account, privacy requests, listings to read again."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "sign_in",
        sa.Column("tenant_id", _id, nullable=False),
        sa.Column("state_hash", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "state_hash"),
    )
    op.create_table(
        "upkeep",
        sa.Column("tenant_id", _id, nullable=False),
        sa.Column("account_id", _id, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="{}", nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("done_at", sa.BigInteger(), nullable=True),
        sa.Column("due_at", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("failures", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("problem", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "account_id", "name"),
    )
    op.create_table(
        "listing_hint",
        sa.Column("tenant_id", _id, nullable=False),
        sa.Column("account_id", _id, nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("generation", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("since_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("empty", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("failures", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "account_id", "external_id"),
    )
    op.create_table(
        "privacy_request",
        sa.Column("tenant_id", _id, nullable=False),
        sa.Column("request_no", _id, nullable=False),
        sa.Column("request_key", sa.Text(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), server_default="", nullable=False),
        sa.Column("inbox_seq", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("progress", sa.Text(), server_default="{}", nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("look_at", sa.BigInteger(), nullable=False),
        sa.Column("done_at", sa.BigInteger(), nullable=True),
        sa.Column("orders_erased", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("messages_erased", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "request_no"),
    )
    op.create_index("privacy_request_once", "privacy_request", ["tenant_id", "request_key"], unique=True)
    op.add_column("orders", sa.Column("closed_at", sa.BigInteger(), nullable=True))
    op.add_column("orders", sa.Column("erased_at", sa.BigInteger(), nullable=True))
    op.create_index(
        "orders_with_person",
        "orders",
        ["tenant_id", "order_no"],
        sqlite_where=sa.text("person <> '{}'"),
        postgresql_where=sa.text("person <> '{}'"),
    )
    op.add_column("outlet", sa.Column("seen_at", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("credential", sa.Column("lease_until", sa.BigInteger(), server_default="0", nullable=False))
