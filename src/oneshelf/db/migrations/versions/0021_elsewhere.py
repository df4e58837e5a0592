"""A claim whose location has not all of its pieces is held elsewhere for the rest; and what the shop owes is looked at without reading the
claims of every order there ever was."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("claim", sa.Column("elsewhere", sa.BigInteger(), server_default="0", nullable=False))
    op.create_index(
        "claim_open",
        "claim",
        ["tenant_id"],
        unique=False,
        sqlite_where=sa.text("open = 1"),
        postgresql_where=sa.text("open = 1"),
    )
