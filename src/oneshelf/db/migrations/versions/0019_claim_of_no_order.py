"""Open claims that no order has are few: who asks for what is held back of strict SKUs need not read all the others, nor rely on how the
database sorts text."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "claim_of_no_order",
        "claim",
        ["tenant_id", "sku"],
        unique=False,
        sqlite_where=sa.text("order_no = 0 AND open = 1"),
        postgresql_where=sa.text("order_no = 0 AND open = 1"),
    )
