"""Further tracking numbers of a parcel."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("shipment", sa.Column("more_numbers", sa.Text(), server_default="", nullable=False))
