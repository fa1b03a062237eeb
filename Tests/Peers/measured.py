"""measured.py REPORT COMMAND…: runs a command and writes its seconds and peak resident bytes to REPORT, as JSON.

The peak that the system reports for a process includes that of the process which started it, so a small one has to.
"""

import json
import os
import sys
import time

report, *command = sys.argv[1:]
began = time.monotonic()
child = os.spawnvp(os.P_NOWAIT, command[0], command)
_, status, usage = os.wait4(child, 0)
seconds = time.monotonic() - began
with open(report, "w") as file:
    json.dump({"seconds": seconds, "peak_bytes": usage.ru_maxrss * 1024}, file)
sys.exit(os.waitstatus_to_exitcode(status) % 256)
