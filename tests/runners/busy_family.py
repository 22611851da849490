"""Keeps a processor busy for a moment, and so does its child; says for how long each."""

import subprocess
import sys
import time

BUSY = "import time\nwhile time.process_time() < 0.4: pass\nprint(time.process_time())"


def main() -> None:
    done = subprocess.run([sys.executable, "-c", BUSY], capture_output=True, text=True, check=True)
    while time.process_time() < 0.3:
        pass
    print(time.process_time(), done.stdout.strip())
    # Whoever looks at it has a moment to.
    sys.stdout.flush()
    time.sleep(0.2)


if __name__ == "__main__":
    main()
