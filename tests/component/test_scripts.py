"""What a mistyped word to scripts/test says."""
import os
import subprocess

import pytest

from harness.settings import ROOT


@pytest.mark.parametrize("words, missing", [(["tests/nowhere.py"], "tests/nowhere.py"), (["nowhere", "-k", "word"], "nowhere"),
                                            (["tests/pytest.ini", "-k", "word", "-x", "tests", "tests/flow/no.py::test_a"], "tests/flow/no.py")])
def test_a_file_that_is_nowhere_is_a_failure_with_its_name(words, missing, tmp_path):
    """Others are found from the root, wherever one stands; nothing is built."""
    done = subprocess.run([os.path.join(ROOT, "scripts", "test"), "--", *words], cwd=tmp_path, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"scripts/test: there is no {missing}, neither here nor in {ROOT}\n"
