"""Start a PostgreSQL and a MariaDB server with throw-away data, run a command, stop both whatever happens.

    python -m tests.servers.start [--install] [--keep-alive] -- python -m pytest tests/servers

The command finds their addresses in CROSSLENS_TEST_POSTGRESQL and CROSSLENS_TEST_MARIADB (URLs of an owner who may
create databases) and CROSSLENS_TEST_CERTIFICATE (what the servers prove themselves with). Both listen on a free port of
the loopback interface and speak TLS. Neither server likes to be root, so root starts them as their own users.
"""

from __future__ import annotations

import argparse
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

POSTGRESQL, MARIADB = "CROSSLENS_TEST_POSTGRESQL", "CROSSLENS_TEST_MARIADB"
CERTIFICATE = "CROSSLENS_TEST_CERTIFICATE"
PACKAGES = ("postgresql", "mariadb-server", "openssl")
_PATIENCE = 60.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--install", action="store_true", help="as root on Debian, install servers that are missing")
    parser.add_argument("command", nargs="+", help="what to run while the servers run")
    options = parser.parse_args()
    if options.install:
        _install()
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="crosslens-servers-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o755)
        environment = {**os.environ, CERTIFICATE: str(_make_certificate(folder))}
        for variable, start in ((POSTGRESQL, postgresql), (MARIADB, mariadb)):
            url = stack.enter_context(start(folder))
            if url is None:
                sys.stderr.write(f"{variable} stays unset: its server is not installed.\n")
            else:
                environment[variable] = url
        return subprocess.run(options.command, env=environment, check=False).returncode


def _install() -> None:
    if os.geteuid() or shutil.which("apt-get") is None or (_postgresql_programs() and shutil.which("mariadbd")):
        return
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for words in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *PACKAGES]):
        subprocess.run(["apt-get", *words], env=quiet, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def postgresql(folder: Path) -> Iterator[str | None]:
    """Run PostgreSQL; yield the URL of its owner, or None where it is not installed."""
    programs = _postgresql_programs()
    if programs is None:
        yield None
        return
    place = _own_folder(folder / "postgresql", "postgres")
    password, port, data = secrets.token_hex(12), _free_port(), place / "data"
    secret = place / "password"
    secret.write_text(password)
    _give(secret, "postgres")
    words = ["-U", "owner", "-A", "scram-sha-256", f"--pwfile={secret}", "-E", "UTF8", "--locale=C.UTF-8", "-N"]
    _do([programs / "initdb", "-D", data, *words], "postgres")
    secret.unlink()
    _lend_certificate(folder, data / "server.crt", data / "server.key", "postgres")
    settings = {
        "listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": place, "ssl": "on",
        "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": 40,
    }  # fmt: skip
    arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    with _running([programs / "postgres", "-D", data, *arguments], "postgres", place / "log", port):
        yield f"postgresql://owner:{password}@127.0.0.1:{port}/postgres"


@contextmanager
def mariadb(folder: Path) -> Iterator[str | None]:
    """Run MariaDB; yield the URL of its owner, or None where it is not installed."""
    program = shutil.which("mariadbd") or shutil.which("mariadbd", path="/usr/sbin:/usr/local/sbin")
    installer = shutil.which("mariadb-install-db")
    if program is None or installer is None:
        yield None
        return
    place = _own_folder(folder / "mariadb", "mysql")
    password, port, data = secrets.token_hex(12), _free_port(), place / "data"
    _do([installer, "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal",
         "--skip-test-db"], "mysql")  # fmt: skip
    _lend_certificate(folder, place / "server.crt", place / "server.key", "mysql")
    first = place / "first.sql"
    first.write_text(
        f"CREATE USER owner@'%' IDENTIFIED BY '{password}';\n"
        "GRANT ALL ON *.* TO owner@'%' WITH GRANT OPTION;\n"  # the server reads one statement a line
        "DROP USER root@localhost;\n"
    )
    _give(first, "mysql")
    arguments = [
        "--no-defaults", f"--datadir={data}", f"--port={port}", "--bind-address=127.0.0.1", "--skip-name-resolve",
        f"--socket={place / 'socket'}", f"--pid-file={place / 'pid'}", f"--init-file={first}", "--skip-log-bin",
        f"--ssl-cert={place / 'server.crt'}", f"--ssl-key={place / 'server.key'}", "--innodb-buffer-pool-size=64M",
        "--innodb-flush-log-at-trx-commit=0", "--innodb-log-file-size=16M",
    ]  # fmt: skip
    with _running([program, *arguments], "mysql", place / "log", port):
        yield f"mariadb://owner:{password}@127.0.0.1:{port}/mysql"


def _postgresql_programs() -> Path | None:
    """Return the folder of the newest PostgreSQL; Debian keeps it out of the PATH."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: float(path.parts[-3]))
    found = versions[-1] if versions else shutil.which("postgres")
    return Path(found).parent if found else None


@contextmanager
def _running(command: list[str | Path], user: str, log: Path, port: int) -> Iterator[None]:
    with log.open("w") as output:
        server = subprocess.Popen(
            [str(word) for word in command], stdout=output, stderr=output, stdin=subprocess.DEVNULL, **_as(user)
        )
    try:
        _wait(server, port, log)
        yield
    finally:
        server.terminate()  # PostgreSQL waits for its sessions on SIGTERM; SIGINT would not
        try:
            server.wait(timeout=5)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wait(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        if server.poll() is not None:
            break
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError(f"{server.args[0]} did not start:\n{log.read_text()[-2000:]}")  # type: ignore[index]


def _make_certificate(folder: Path) -> Path:
    certificate = folder / "server.crt"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
         "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", folder / "server.key", "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    return certificate


def _lend_certificate(folder: Path, certificate: Path, key: Path, user: str) -> None:
    for source, target in ((folder / "server.crt", certificate), (folder / "server.key", key)):
        shutil.copyfile(source, target)
        target.chmod(0o600)
        _give(target, user)


def _own_folder(folder: Path, user: str) -> Path:
    folder.mkdir()
    _give(folder, user)
    return folder


def _give(path: Path, user: str) -> None:
    if os.geteuid() == 0:
        shutil.chown(path, user, pwd.getpwnam(user).pw_gid)


def _as(user: str) -> dict[str, object]:
    if os.geteuid():
        return {}
    entry = pwd.getpwnam(user)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": [], "cwd": "/"}


def _do(command: list[str | Path], user: str) -> None:
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, check=False, **_as(user))  # type: ignore[call-overload]
    if done.returncode:
        raise RuntimeError(f"{words[0]} failed:\n{done.stderr[-2000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
