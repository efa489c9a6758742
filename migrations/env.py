"""Alembic's entry: run the migrations on the engine that the configuration carries."""

from alembic import context

from migrations import guards
from models import Base


def run() -> None:
    """Migrate in one transaction."""
    engine = context.config.attributes["engine"]
    with engine.begin() as connection:
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            render_as_batch=True,
            compare_type=True,
        )
        context.run_migrations()
        guards.recreate(connection)


run()
