"""`zoo-eval serve`: the explorer of a store, until Ctrl-C."""

from contextlib import suppress

from zoo_eval.commands.command import OK
from zoo_eval.errors import BadInput
from zoo_eval.explorer.desks import Bounds
from zoo_eval.explorer.guard import VARIABLE, is_loopback
from zoo_eval.explorer.serving import Serving
from zoo_eval.files.names import say

MOST_PORTS = 65535


def run(store: str, host: str, port: int | None, seconds: str | None, memory: str | None) -> int:
    """Serves a store until the process is told to end.

    Raises:
        BadInput: an option is wrong, the port is taken, or there is no store.
        StoreError: the store is damaged.
    """
    if port is not None and not 0 <= port <= MOST_PORTS:
        raise BadInput(
            f"--port {port} is no port; give 1 to {MOST_PORTS}, or 0 for any that is free"
        )
    serving = Serving(store, Bounds.usual(seconds, memory), host=host, port=port)
    # The address holds the token, which `say` would hide.
    print(f"open {serving.url}  (Ctrl-C ends it)", flush=True)
    if not is_loopback(host):
        say(
            f"whoever has this address can read the store, and it travels unencrypted; {VARIABLE} sets the token"
        )
    with suppress(KeyboardInterrupt):
        serving.run()
    say("ended; the store is as it was")
    return OK
