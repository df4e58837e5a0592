"""Alembic's way in: runs the migrations on the connection that it is given."""

from alembic import context

from oneshelf.db.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transaction_per_migration=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
