"""What the commands say in a terminal, and how they stop."""

import typer


def without_tilde(folder):
    """Expand a leading ~, which not every shell does."""
    try:
        return folder.expanduser()
    except RuntimeError:
        stop(f"{folder}: there is no such user here; write the folder without ~.")


def print_rows(rows):
    """Print aligned columns; the last one wraps at the width of the terminal."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    for row in rows:
        table.add_row(*(Text(cell, overflow="fold") for cell in row))  # a long path stays whole
    Console().print(table)


def stop(sentence):
    """Say why on the error stream, and end with exit status 1."""
    typer.echo(sentence, err=True)
    raise typer.Exit(1)
