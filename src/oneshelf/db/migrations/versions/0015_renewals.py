"""Which attempts reopened a sold-out listing, which costs its fee (those of before count as not doing so: one fee too many at the most);
whose windows moved and were not planned with yet; by how much a channel's clock is ahead of ours."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("attempt", sa.Column("renews", sa.Integer(), server_default="0", nullable=False))
    op.add_column("planner", sa.Column("moved", sa.Text(), server_default="[]", nullable=False))
    op.add_column("channel_window", sa.Column("ahead", sa.BigInteger(), server_default="0", nullable=False))
