"""What a channel counts writes by: eBay counts a listing's revisions, and its variations share them."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

#: Outlets that are known already have had it among what their connector keeps.
_KEPT = {
    "sqlite": "COALESCE(json_extract(extra, '$.ration_unit'), '')",
    "postgresql": "COALESCE(CAST(extra AS json) ->> 'ration_unit', '')",
}


def upgrade() -> None:
    op.add_column("outlet", sa.Column("ration_unit", sa.Text(), server_default="", nullable=False))
    op.execute(f"UPDATE outlet SET ration_unit = {_KEPT[op.get_bind().dialect.name]}")
    op.create_index("outlet_by_ration", "outlet", ["tenant_id", "account_id", "ration_unit"])
