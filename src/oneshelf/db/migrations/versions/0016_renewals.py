"""Which attempts reopened a sold-out listing, which costs its fee. Those of before count as not doing so: one fee too many at the most."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("attempt", sa.Column("renews", sa.Integer(), server_default="0", nullable=False))
