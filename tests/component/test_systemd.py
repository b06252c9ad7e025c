"""The unit file: hardened as far as the daemon can live with, and well formed."""
import os
import re
import subprocess

import pytest

from harness import settings

SYSTEMD = os.path.join(settings.ROOT, "systemd")
MOST_EXPOSED = 1.5


def run(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False).stdout


def test_the_unit_exposes_no_more_than_the_daemon_needs():
    report = run("systemd-analyze", "security", "--offline=true", "--no-pager",
                 os.path.join(SYSTEMD, "revcycled.service"))
    score = re.search(r"Overall exposure level for .*?: ([0-9.]+)", report)
    assert score, report
    assert float(score.group(1)) <= MOST_EXPOSED


def test_the_unit_is_well_formed(tmp_path):
    """Its binary is not installed where tests run: a copy names one that exists."""
    with open(os.path.join(SYSTEMD, "revcycled.service"), encoding="utf-8") as file:
        text = file.read().replace("/usr/bin/revcycled", "/bin/true")
    unit = tmp_path / "revcycled.service"
    unit.write_text(re.sub(r"^Documentation=.*\n", "", text, flags=re.M), encoding="utf-8")
    said = run("systemd-analyze", "verify", "--man=no", str(unit))
    assert "revcycled.service" not in said, said


@pytest.mark.parametrize("tool,name", [("systemd-sysusers", "revcycled.sysusers.conf"),
                                       ("systemd-tmpfiles", "revcycled.tmpfiles.conf")])
def test_users_and_directories_are_made_as_written(tool, name, tmp_path):
    """In a root of their own; nothing of this machine is touched."""
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc" / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\nrevcycled:x:990:990::/:/bin/false\n")
    (root / "etc" / "group").write_text("root:x:0:\nrevcycled:x:990:\n")
    if tool == "systemd-sysusers":
        (root / "etc" / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
        (root / "etc" / "group").write_text("root:x:0:\n")
        said = run(tool, f"--root={root}", os.path.join(SYSTEMD, name))
        assert "revcycled:x:" in (root / "etc" / "passwd").read_text(), said
    else:
        said = run(tool, f"--root={root}", "--create", os.path.join(SYSTEMD, name))
        assert (root / "var/lib/revcycled/claims").is_dir(), said


def test_the_example_configuration_has_no_mistake(binary):
    done = subprocess.run([binary, "--config", os.path.join(SYSTEMD, "revcycled.yaml"), "--check-config"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
