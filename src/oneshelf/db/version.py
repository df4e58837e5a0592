"""Which schema this version writes, and whether a database has it already: asked at each start.

In: an open connection. Out: a database of this version's schema.
Never: loads Alembic where there is nothing to bring; with SQLAlchemy it takes a fifth of a service's start.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .store import Store


@cache
def newest() -> str:
    """The last of the migrations that we ship; each is named after its revision."""
    return max(file.name[:4] for file in (Path(__file__).parent / "migrations" / "versions").glob("[0-9]*.py"))


def bring_to_newest(store: Store, connection: Any) -> None:
    """Run the migrations that are missing, if any are. Raises what `migrate` raises."""
    if _revision(connection) == newest():
        return
    from .migrate import migrate

    migrate(store)


def _revision(connection: Any) -> str | None:
    try:
        rows = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    except Exception:  # no such table, or no database of ours at all: `migrate` looks again and says what it is
        return None
    return str(rows[0][0]) if len(rows) == 1 else None
