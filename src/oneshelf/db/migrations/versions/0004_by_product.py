"""A changed product finds its items, and a new SKU the listings that wait for it, without reading the whole shelf."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("item_by_product_id", "item", ["tenant_id", "product_id"], unique=False)
    op.create_index("outlet_by_sku_text", "outlet", ["tenant_id", "sku_text"], unique=False)
