"""Price rules and sales, what people agreed to, the band and the fee of an account; exchange rates in a table of their own."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("price_policy", sa.Column("band", sa.BigInteger(), server_default="50", nullable=False))
    op.add_column("price_policy", sa.Column("fee", sa.Text(), server_default="0", nullable=False))
    op.add_column("price_slot", sa.Column("rested", sa.BigInteger(), nullable=True))
    op.create_table(
        "price_rule",
        sa.Column("tenant_id", _id, nullable=False),
        sa.Column("rule_no", _id, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("channel", sa.Text(), server_default="", nullable=False),
        sa.Column("goods", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), server_default="", nullable=False),
        sa.Column("rank", sa.BigInteger(), server_default="100", nullable=False),
        *(
            sa.Column(name, sa.Text(), server_default="", nullable=False)
            for name in ("price", "rounding", "floor", "ceiling", "margin", "currency")
        ),
        sa.Column("starts_at", sa.BigInteger(), nullable=True),
        sa.Column("ends_at", sa.BigInteger(), nullable=True),
        sa.Column("phase", sa.Text(), server_default="", nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_by", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "rule_no"),
    )
    op.create_index("price_rule_by_goods", "price_rule", ["tenant_id", "goods", "value"])
    op.create_table(
        "price_word",
        sa.Column("tenant_id", _id, nullable=False),
        sa.Column("outlet_id", _id, nullable=False),
        sa.Column("price_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("word", sa.Text(), nullable=False),
        sa.Column("said_at", sa.BigInteger(), nullable=False),
        sa.Column("said_by", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "outlet_id", "price_minor", "currency"),
    )
    op.create_table(
        "price_import",
        sa.Column("tenant_id", _id, nullable=False),
        sa.Column("imported_at", sa.BigInteger(), nullable=False),
        sa.Column("imported_by", sa.Text(), server_default="", nullable=False),
        sa.Column("before", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id"),
    )
    rates = op.create_table(
        "exchange_rate",
        sa.Column("tenant_id", _id, nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("rate", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("entered_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "currency"),
    )
    op.bulk_insert(rates, _entered_so_far(op.get_bind()))


def _entered_so_far(connection: sa.Connection) -> list[dict[str, object]]:
    """Rates stood among the shop's settings until now, without the day on which they were entered: their source names it."""
    found = []
    for tenant_id, settings, connected_at in connection.execute(
        sa.text(
            "SELECT tenant_id, settings, connected_at FROM account WHERE channel = 'shopify' AND state <> 'DISCONNECTED'"
        )
    ):
        for name, text in json.loads(settings).items():
            if name.startswith("rate_") and "|" in text:
                rate, source = text.split("|", 1)
                found.append(
                    {
                        "tenant_id": tenant_id,
                        "currency": name.removeprefix("rate_"),
                        "rate": rate,
                        "source": source,
                        "entered_at": connected_at,
                    }
                )
    return found
