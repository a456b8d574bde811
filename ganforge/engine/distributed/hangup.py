"""SIGHUP: what closing a terminal or an SSH session sends to the processes started from it."""

from __future__ import annotations

import errno
import os
import signal
import termios

STDOUT, STDERR = 1, 2


def is_ignored() -> bool:
    """Whether this process was started to outlive its terminal, as by `nohup`; then it stays that way."""
    return signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


def leave_lost_terminal() -> None:
    """Sends output to nowhere where its terminal is gone: every write would fail with EIO, and end the
    process before its checkpoint is written. A terminal that is still there, or a file, is kept."""
    for descriptor in (STDOUT, STDERR):
        try:
            termios.tcgetattr(descriptor)
        except termios.error as error:
            if error.args[0] != errno.EIO:
                continue
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, descriptor)
            os.close(nowhere)
