"""Further tracking numbers of a parcel; orders that a privacy request names."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("shipment", sa.Column("more_numbers", sa.Text(), server_default="", nullable=False))
    op.add_column("privacy_request", sa.Column("order_ids", sa.Text(), server_default="[]", nullable=False))
