"""Lines of which pieces were taken off the copy, and whose marketplace does not know, are few: who looks for them need not read all lines."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "order_line_removed",
        "order_line",
        ["tenant_id"],
        unique=False,
        sqlite_where=sa.text("removed > told_cancelled"),
        postgresql_where=sa.text("removed > told_cancelled"),
    )
