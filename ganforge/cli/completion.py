"""`ganforge completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, /, shell: str) -> None:
    """Print the script that completes commands and options in SHELL.

    \b
    bash:  eval "$(ganforge completion bash)"       in ~/.bashrc
    zsh:   eval "$(ganforge completion zsh)"        in ~/.zshrc
    fish:  ganforge completion fish | source        in ~/.config/fish/config.fish
    """
    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(context.find_root().command, {}, "ganforge", "_GANFORGE_COMPLETE").source())
