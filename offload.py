"""Work that would stop the event loop, done in a native thread while the loop goes on.

Password hashing, tokenizing and waiting for the disk go through here. Outside a gevent process
(commands, tests) there is no loop to spare, and the work runs where it is called.
"""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import gevent
from gevent import monkey

P = ParamSpec("P")
T = TypeVar("T")


def off_loop(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return `work(*args)`, run in the hub's thread pool when the process is gevent's."""
    if not monkey.is_module_patched("threading"):
        return work(*args, **kwargs)
    result: T = gevent.get_hub().threadpool.apply(work, args, kwargs)
    return result
