"""What the hub keeps about an item: vendor, type, tags, cost, struck-out price, barcode."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("item", sa.Column("vendor", sa.Text(), server_default="", nullable=False))
    op.add_column("item", sa.Column("product_type", sa.Text(), server_default="", nullable=False))
    op.add_column("item", sa.Column("tags", sa.Text(), server_default="[]", nullable=False))
    op.add_column("item", sa.Column("cost_minor", sa.BigInteger(), nullable=True))
    op.add_column("item", sa.Column("cost_currency", sa.Text(), nullable=True))
    op.add_column("item", sa.Column("compare_at_minor", sa.BigInteger(), nullable=True))
    op.add_column("item", sa.Column("barcode", sa.Text(), server_default="", nullable=False))
