"""Runs the command given and prints what it took: wall and CPU seconds, peak resident memory in KiB, its output."""

import json
import resource
import subprocess
import sys
import time

start = time.perf_counter()
ran = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
wall = time.perf_counter() - start
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
figures = {
    "code": ran.returncode,
    "wallS": wall,
    "cpuS": usage.ru_utime + usage.ru_stime,
    "peakKiB": usage.ru_maxrss,
    "out": ran.stdout,
    "error": ran.stderr[-2000:],
}
print(json.dumps(figures))
