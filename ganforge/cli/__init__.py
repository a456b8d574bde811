"""The command line. Nothing here imports torch before a command needs it, so that --help is instant."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
import traceback
from typing import NoReturn

import click

from ganforge import __version__
from ganforge.cli.cache import cache
from ganforge.cli.compare import compare
from ganforge.cli.completion import completion
from ganforge.cli.doctor import doctor
from ganforge.cli.evaluate import evaluate
from ganforge.cli.export import export
from ganforge.cli.health import health
from ganforge.cli.inspect import check, schema
from ganforge.cli.judge import judge
from ganforge.cli.lab import lab
from ganforge.cli.latents import latents
from ganforge.cli.launch import LOST
from ganforge.cli.neighbours import neighbours
from ganforge.cli.new import new
from ganforge.cli.options import add_quiet_and_verbose, show_tracebacks
from ganforge.cli.play import play
from ganforge.cli.plugin import plugin
from ganforge.cli.plugins import plugins
from ganforge.cli.profile import profile
from ganforge.cli.report import plot, report
from ganforge.cli.runs import runs
from ganforge.cli.sample import sample
from ganforge.cli.sweep import sweep
from ganforge.cli.train import resume, run
from ganforge.outputs.printable import Terminal, TerminalWithBar

BAD_INPUT = 2
"""Exit code of every error that the user can fix."""

DISK = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EROFS: "the file system is read-only",
    errno.ENOTDIR: "a part of this path is not a folder",
    errno.EISDIR: "is a folder",
    errno.EEXIST: "exists already",
    errno.ENAMETOOLONG: "the name is too long",
    errno.EFBIG: "the file is too large for this file system or limit",
    errno.ENOENT: "no such file or folder",
    errno.ELOOP: "is a symbolic link, which is not followed",
    errno.EIO: "the disk or the network file system failed (input/output error)",
    errno.ESTALE: "the network file system no longer knows this file",
    errno.EMFILE: "too many open files; raise the limit with 'ulimit -n'",
    errno.ENFILE: "too many open files on this machine",
}


NO_MEMORY = (
    "out of memory; a smaller train.batch_size, or a larger train.accumulate, needs less, and "
    "'ganforge check' estimates how much"
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="ganforge")
@click.option(
    "-v",
    "--verbose",
    is_flag=True,
    expose_value=False,
    callback=show_tracebacks,
    help="Print the traceback of an error, too.",
)
def cli() -> None:
    """Train any GAN from one validated file; losses, networks and data sets are plugins.

    \b
    Start here:   ganforge run examples/cgan_iclevr.toml
    Own images:   ganforge new my.toml --data FOLDER
    Exit codes:   0 done, 2 bad input, 3 ended by health.policy,
                  4 another process of the run was lost,
                  75 stopped before its end, by a signal or --max-minutes, with a checkpoint (resume it)
    """


for command in (
    new, run, resume, runs, sample, check, plugin, plugins, schema, plot, report, judge, evaluate, lab,
    latents, neighbours, compare, completion, doctor, health, sweep, profile, cache, export, play,
):  # fmt: skip
    cli.add_command(command)
add_quiet_and_verbose(cli)


def main() -> None:
    """Runs a command; user errors end in one message on stderr and exit code 2."""
    _show_control_characters()
    _refuse_names_that_are_no_text()
    try:
        # What -q mutes is the command: errors are shown.
        with contextlib.redirect_stderr(sys.stderr):
            sys.exit(cli.main(standalone_mode=False) or 0)
    except click.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except OSError as error:
        reason = DISK.get(error.errno or 0, error.strerror)
        if reason is None:
            raise
        where = f"{error.filename}: " if error.filename else ""
        _fail(f"{where}{reason}", error)
    except MemoryError as error:
        _fail(NO_MEMORY, error)
    except Exception as error:
        if _is_out_of_memory(error):
            _fail(NO_MEMORY, error)
        # Importing the class would import torch, which --help must not; if it was raised, it is imported.
        if not _is_user_error(error):
            raise
        _fail(str(error), error)
    except BaseException as error:
        if type(error).__name__ != "LostProcess":
            raise
        _fail(str(error), error, LOST)


def _show_control_characters() -> None:
    """On stdout and stderr: names of files and labels may hold what a terminal would obey, or bytes that
    are no text."""
    for name, kind in (("stdout", Terminal), ("stderr", TerminalWithBar)):
        stream = getattr(sys, name)
        if type(stream) is io.TextIOWrapper:
            stream.flush()
            wrapped = kind(
                stream.buffer,
                encoding=stream.encoding,
                errors="backslashreplace",
                line_buffering=stream.line_buffering,
                write_through=stream.write_through,
            )
            setattr(sys, name, wrapped)


def _is_out_of_memory(error: Exception) -> bool:
    """torch has an error of its own for a GPU, and a message for a CPU."""
    cpu = isinstance(error, RuntimeError) and "DefaultCPUAllocator: can't allocate memory" in str(error)
    return cpu or type(error).__name__ == "OutOfMemoryError"


def _refuse_names_that_are_no_text() -> None:
    """Run files and records are UTF-8: what is to be named in them must be, too."""
    asked = [("argument", argument) for argument in sys.argv[1:]]
    with contextlib.suppress(OSError):
        asked.append(("working folder", os.getcwd()))
    if "--help" in sys.argv or "-h" in sys.argv or len(sys.argv) < 2:
        return
    for what, name in asked:
        try:
            name.encode()
        except UnicodeEncodeError:
            click.echo(
                f"the {what} {os.fsencode(name)!r} is not UTF-8, so it cannot be recorded; rename it or link "
                "to it by another name",
                err=True,
            )
            sys.exit(BAD_INPUT)


def _is_user_error(error: Exception) -> bool:
    api = sys.modules.get("ganforge.api.errors")
    return api is not None and isinstance(error, api.UserError)


def _fail(message: str, error: BaseException, code: int = BAD_INPUT) -> NoReturn:
    """Prints the message and the notes attached to the error; the traceback only on request."""
    if os.environ.get("RANK", "0") != "0":
        message = f"process {os.environ['RANK']}: {message}"
    if os.environ.get("GANFORGE_TRACEBACK"):
        click.echo("".join(traceback.format_exception(error)), err=True)
    for line in (message, *getattr(error, "__notes__", ())):
        click.echo(line, err=True)
    sys.exit(code)
