"""The forms that every table is made of: keys, texts, counts, instants, flags."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double, Index, Integer, MetaData, Table, Text

metadata = MetaData()
Id = BigInteger().with_variant(Integer, "sqlite")


def table(name: str, *columns: Column, keys: int, indexes: tuple[Index, ...] = ()) -> Table:
    """Make a table whose primary key is its first `keys` columns, tenant_id first."""
    for column in columns[: keys - 1]:
        column.primary_key = True
        column.nullable = False
    return Table(name, metadata, Column("tenant_id", Id, primary_key=True, nullable=False), *columns, *indexes)


def words(name: str, default: str | None = None) -> Column:
    return Column(name, Text, nullable=False, server_default=default)


def count(name: str, default: str | None = "0") -> Column:
    return Column(name, BigInteger, nullable=False, server_default=default)


def at(name: str, nullable: bool = True) -> Column:
    return Column(name, BigInteger, nullable=nullable)


def flag(name: str, default: str = "0") -> Column:
    return Column(name, Integer, nullable=False, server_default=default)


def maybe(name: str) -> Column:
    return Column(name, Text, nullable=True)


def real(name: str, default: str | None = "0") -> Column:
    return Column(name, Double, nullable=False, server_default=default)
