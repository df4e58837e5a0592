"""What the hub keeps about an item; rules that speak of channels, tags, vendors, types; changes that wait for a person."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("item", sa.Column("vendor", sa.Text(), server_default="", nullable=False))
    op.add_column("item", sa.Column("product_type", sa.Text(), server_default="", nullable=False))
    op.add_column("item", sa.Column("tags", sa.Text(), server_default="[]", nullable=False))
    op.add_column("item", sa.Column("cost_minor", sa.BigInteger(), nullable=True))
    op.add_column("item", sa.Column("cost_currency", sa.Text(), nullable=True))
    op.add_column("item", sa.Column("compare_at_minor", sa.BigInteger(), nullable=True))
    op.add_column("item", sa.Column("barcode", sa.Text(), server_default="", nullable=False))
    op.create_table(
        "offer_rule",
        sa.Column("tenant_id", _id, nullable=False),
        sa.Column("account_id", _id, nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("goods", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("rank", sa.BigInteger(), server_default="100", nullable=False),
        sa.Column("safety_stock", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("safety_percent", sa.Integer(), nullable=True),
        sa.Column("cap", sa.BigInteger(), nullable=True),
        sa.Column("exactly", sa.BigInteger(), nullable=True),
        sa.Column("min_show", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("adaptive", sa.Integer(), server_default="1", nullable=False),
        sa.Column("cap_auto", sa.Integer(), server_default="0", nullable=False),
        sa.Column("low_at", sa.BigInteger(), nullable=True),
        sa.Column("low", sa.Text(), server_default="{}", nullable=False),
        sa.Column("except_locations", sa.Text(), server_default="[]", nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "account_id", "channel", "goods", "value"),
    )
    op.execute(
        """INSERT INTO offer_rule (tenant_id, account_id, channel, goods, value, safety_stock, safety_percent, cap, min_show, adaptive, cap_auto)
           SELECT tenant_id, account_id, '', CASE WHEN sku = '' THEN 'all' ELSE 'sku' END, sku, safety_stock, safety_percent, cap,
                  min_show, adaptive, cap_auto FROM offer_policy"""
    )
    op.drop_table("offer_policy")
    op.create_table(
        "rule_import",
        sa.Column("tenant_id", _id, nullable=False),
        sa.Column("import_no", _id, nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("changes", sa.Text(), nullable=False),
        sa.Column("undone_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "import_no"),
    )
    op.create_table(
        "guard",
        sa.Column("tenant_id", _id, nullable=False),
        sa.Column("guard_no", _id, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("account_id", _id, nullable=False),
        sa.Column("state", sa.Text(), server_default="WAITING", nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("payload", sa.Text(), server_default="{}", nullable=False),
        sa.Column("effect", sa.Text(), server_default="[]", nullable=False),
        sa.Column("asked_by", sa.Text(), server_default="", nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("lapses_at", sa.BigInteger(), nullable=True),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.Column("closed_by", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "guard_no"),
    )
    op.create_index("guard_open", "guard", ["tenant_id", "state"])
    op.create_table(
        "guard_outlet",
        sa.Column("tenant_id", _id, nullable=False),
        sa.Column("outlet_id", _id, nullable=False),
        sa.Column("account_id", _id, nullable=False),
        sa.Column("guard_no", _id, nullable=False),
        sa.Column("way", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "outlet_id"),
    )
    op.create_index("guard_outlet_by_guard", "guard_outlet", ["tenant_id", "guard_no"])
    op.create_table(
        "guard_limits",
        sa.Column("tenant_id", _id, nullable=False),
        sa.Column("is_on", sa.Integer(), server_default="1", nullable=False),
        sa.Column("percent", sa.BigInteger(), server_default="20", nullable=False),
        sa.Column("least", sa.BigInteger(), server_default="10", nullable=False),
        sa.Column("factor", sa.BigInteger(), server_default="3", nullable=False),
        sa.Column("hold_s", sa.BigInteger(), server_default="900", nullable=False),
        sa.PrimaryKeyConstraint("tenant_id"),
    )
