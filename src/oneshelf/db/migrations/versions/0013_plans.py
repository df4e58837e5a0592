"""Plans of tenants."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
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
