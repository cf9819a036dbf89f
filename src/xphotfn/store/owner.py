"""Which process on which machine: what the names of scratch folders carry, so that only dead ones are swept."""

import os
import re
import socket
import uuid
from functools import cache
from pathlib import Path
from typing import NamedTuple

__all__ = ("Owner", "host", "owner_of", "scratch_prefix")

_OWNER = re.compile(r".*\.(?P<host>[^@]+@[0-9a-z]+)\.(?P<pid>[0-9]+)\.[^.]*")


class Owner(NamedTuple):
    """The process that made a folder."""

    host: str
    pid: int

    @property
    def is_here(self) -> bool:
        """Whether it is, or was, a process of this machine, so that we can tell whether it lives."""
        return self.host == host()

    @property
    def is_alive(self) -> bool:
        """Whether a process of that number runs on this machine."""
        try:
            os.kill(self.pid, 0)
        except (ProcessLookupError, OverflowError):  # no process has such a number
            return False
        except OSError:
            return True  # another user's
        return True


@cache
def host() -> str:
    """Return the name of this machine, and which space of process numbers this is.

    Two machines may have one name, and containers of one machine have process numbers of their own: the system's
    random name of this start (boot_id) and the container's number tell them apart.
    """
    try:
        space = f"{Path('/proc/self/ns/pid').stat().st_ino:x}{Path('/proc/sys/kernel/random/boot_id').read_text()[:8]}"
    except OSError:
        space = f"{uuid.getnode():x}"
    return f"{socket.gethostname().replace('.', '-')}@{space}"


def scratch_prefix(key: str) -> str:
    """Return how the name of a scratch folder of this process starts."""
    return f"{key[:12]}.{host()}.{os.getpid()}."


def owner_of(name: str) -> Owner | None:
    """Return whose a scratch folder is, None where its name does not say."""
    found = _OWNER.fullmatch(name)
    return Owner(found["host"], int(found["pid"])) if found else None
