"""The key that credentials are sealed with."""

from __future__ import annotations

import typer

from .base import Json, app, out, print_json, settings_of

group = typer.Typer(no_args_is_help=True, help="The key that credentials are sealed with.")
app.add_typer(group, name="key")


@group.command("new")
def key_new(as_json: Json = False) -> None:
    """Make the key file. Never overwrites one."""
    from oneshelf.tenants.seal import new_key_file

    settings = settings_of()
    settings.key_path.parent.mkdir(parents=True, exist_ok=True)
    new_key_file(settings.key_path)
    print_json({"key_file": str(settings.key_path)}) if as_json else out.print(
        f"{settings.key_path} made. Back it up apart from the database."
    )


@group.command("rotate")
def key_rotate(as_json: Json = False) -> None:
    """Put a new key before the old ones; what is sealed from now on uses it."""
    from oneshelf.tenants.seal import rotate_key_file

    settings = settings_of()
    rotate_key_file(settings.key_path)
    print_json({"key_file": str(settings.key_path)}) if as_json else out.print(
        f"{settings.key_path} has a new key. Restart the service."
    )
