"""What is found again without reading everything: items by product, listings by SKU, a parcel by the number it was told under."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("item_by_product_id", "item", ["tenant_id", "product_id"], unique=False)
    op.create_index("outlet_by_sku_text", "outlet", ["tenant_id", "sku_text"], unique=False)
    op.add_column("shipment", sa.Column("sent_number", sa.Text(), server_default="", nullable=False))
    op.execute("UPDATE shipment SET sent_number = tracking_number WHERE sent_version > 0")
