"""The most memory a command takes, all its processes together: python benchmarks/peak_memory.py make book

Half a second apart, the proportional set sizes (PSS) of the command and of all that it has started are
summed: memory that processes share is counted once. What lives for less than that may be missed. Linux only.
"""

import subprocess
import sys
import time

import psutil


def together(process: psutil.Process) -> int:
    """Bytes in use by a process and by all below it; one that has just ended counts nothing."""
    total = 0
    for one in [process, *process.children(recursive=True)]:
        try:
            total += one.memory_full_info().pss
        except psutil.Error:
            continue
    return total


def main() -> int:
    """Run the command to its end, then say what it took; returns its exit status."""
    started = time.time()
    running = subprocess.Popen(sys.argv[1:])
    process, peak = psutil.Process(running.pid), 0
    while running.poll() is None:
        try:
            peak = max(peak, together(process))
        except psutil.NoSuchProcess:
            break
        time.sleep(0.5)
    print(f"peak memory {peak / 1e9:.2f} GB, {time.time() - started:.0f} s, exit status {running.wait()}")
    return running.returncode


if __name__ == "__main__":
    sys.exit(main())
