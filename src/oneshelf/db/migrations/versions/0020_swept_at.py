"""When the sweep last asked for an outlet's number, and its price: one that no read comes of is not asked for in place of all others."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("slot", "price_slot"):
        op.add_column(name, sa.Column("swept_at", sa.BigInteger(), nullable=True))
