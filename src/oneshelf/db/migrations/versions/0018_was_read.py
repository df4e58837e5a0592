"""Of which orders the newest snapshot was read: a message of the same update time, that was long on its way, changes nothing of it. Those
of before count as told by a message: the next read of the same update time goes before it."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("orders", sa.Column("was_read", sa.Integer(), server_default="0", nullable=False))
