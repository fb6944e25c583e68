"""Runs a command in a pseudo-terminal of the given size: stdin is what is typed, stdout is what the terminal gets."""

import fcntl
import os
import pty
import select
import struct
import sys
import termios

columns, rows = int(sys.argv[1]), int(sys.argv[2])
child, terminal = pty.fork()
if child == 0:
    os.execvp(sys.argv[3], sys.argv[3:])
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
sources = [terminal, sys.stdin.fileno()]
while True:
    readable, _, _ = select.select(sources, [], [])
    try:
        if terminal in readable:
            data = os.read(terminal, 65536)
            if not data:
                break
            os.write(sys.stdout.fileno(), data)
    except OSError:
        # Linux reports the end of the child this way.
        break
    if sys.stdin.fileno() in readable:
        typed = os.read(sys.stdin.fileno(), 65536)
        if typed:
            os.write(terminal, typed)
        else:
            sources.remove(sys.stdin.fileno())
_, status = os.waitpid(child, 0)
sys.exit(os.waitstatus_to_exitcode(status))
