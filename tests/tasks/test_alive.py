import subprocess
import sys

import psutil

from tasks.alive import is_alive


def test_a_process_lives_until_it_ends_and_a_later_one_of_its_number_is_another():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    started = psutil.Process(process.pid).create_time()
    assert is_alive(process.pid, started)
    assert not is_alive(process.pid, started - 60)
    process.kill()
    process.communicate()
    assert not is_alive(process.pid, started)
