"""Which attempts were told or looked at while a day's calls had to be waited for: they say nothing of how quick the channel is (those of
before count as having been told freely: a window that is too long goes with its last 200 samples)."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("attempt", sa.Column("spread", sa.Integer(), server_default="0", nullable=False))
