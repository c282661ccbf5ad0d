"""ActiveMQ Artemis as an ordinary process, with the configuration of deploy/artemis.

    python3 -m tests.artemis        fetches the distribution, once, through Maven

with Artemis(directory) as broker:
    broker.port, broker.user, broker.password, broker.passwords["agent"]

Unless it is to run `as_deployed`, names that begin with TEST or BENCHMARK are open to the operator,
who also has all other roles: a facility that is given one user can run with it.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.broker_process import BrokerProcess, free_port, required

VERSION = "2.44.0"
COORDINATES = f"org.apache.activemq:apache-artemis:{VERSION}:zip:bin"
COPY = "org.apache.maven.plugins:maven-dependency-plugin:2.8:copy"
ARCHIVE = f"apache-artemis-{VERSION}-bin.zip"
SHA512 = (
    "16417d8e96af5e816c1a8e57e2d1d9dfb38b858371a18d3c9990689594632347"
    "301e379797c96925a1b103d2ab8fad8722fe5babd4a10c512633a8c0175a242f"
)
CONFIGURATION = Path(__file__).parent.parent / "deploy" / "artemis"
OPEN_TO_TESTS = ("TEST.#", "BENCHMARK.#", "REDUCTION.TESTPROCESSOR.#", "CATALOG.DATA_READY")

_PERMISSIONS = (
    *("createAddress", "deleteAddress", "createDurableQueue", "deleteDurableQueue"),
    *("createNonDurableQueue", "deleteNonDurableQueue", "send", "consume", "browse"),
)
_AUTOMATIC = tuple(
    f"auto-{verb}-{noun}" for verb in ("create", "delete") for noun in ("queues", "addresses")
)


class ArtemisError(Exception):
    """The distribution is not the one that was looked at."""


def home() -> Path:
    """Where the distribution is unpacked; the name tells which bytes it was."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "webmon" / f"artemis-{VERSION}-{SHA512[:12]}"


def missing() -> str | None:
    """Why Artemis cannot run here, as a sentence, or None."""
    if shutil.which("java") is None:
        return "java is not installed (Debian package default-jre-headless)"
    if not home().is_dir():
        return "Artemis is not there (python3 -m tests.artemis fetches it, with Maven)"
    return None


def require() -> str | None:
    """Like `missing`, but where CI=true nothing may be left out.

    Raises:
        BrokerMissingError: it cannot run and CI=true.
    """
    return required(missing())


def fetch() -> Path:
    """Have the distribution in the cache; return its folder.

    Raises:
        ArtemisError: what came has another checksum.
        subprocess.CalledProcessError: Maven could not get it.
    """
    target = home()
    if not target.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            unpack(_download(Path(folder)), Path(folder) / "unpacked")
            (Path(folder) / "unpacked" / f"apache-artemis-{VERSION}").rename(target)
    return target


def _download(folder: Path) -> Path:
    maven = ["mvn", "--batch-mode", "--quiet", COPY]
    options = [f"-Dartifact={COORDINATES}", f"-DoutputDirectory={folder}"]
    subprocess.run([*maven, *options], check=True, stdin=subprocess.DEVNULL)
    return folder / ARCHIVE


def unpack(archive: Path, folder: Path) -> None:
    """Unpack what has the pinned checksum, and nothing else.

    Raises:
        ArtemisError: it has another one.
    """
    with archive.open("rb") as file:
        found = hashlib.file_digest(file, "sha512").hexdigest()
    if found != SHA512:
        raise ArtemisError(f"{archive.name} has the SHA-512 {found}, not {SHA512}")
    with zipfile.ZipFile(archive) as content:
        content.extractall(folder)


class Artemis(BrokerProcess):
    """Artemis, started by deploy/artemis/start; each user has the rights that are deployed."""

    name = "artemis"
    roles = ("workflow", "agent", "instruments", "listener", "operator")

    def __init__(
        self, directory: Path, user: str = "operator", *, as_deployed: bool = False
    ) -> None:
        super().__init__(directory, user)
        self._management_port = free_port()
        self._as_deployed = as_deployed

    def start(self) -> None:
        """See `BrokerProcess.start`."""
        for name in ("secrets", "run", "data"):
            (self._directory / name).mkdir(parents=True, exist_ok=True)
        for role, password in self.passwords.items():
            (self._directory / "secrets" / f"broker_{role}").write_text(password)
        configuration = self._directory / "etc"
        shutil.copytree(CONFIGURATION, configuration, dirs_exist_ok=True)
        if not self._as_deployed:
            _open(configuration)
        super().start()

    def declare(self, queue: str) -> None:
        """Make a durable queue on the running broker, as an operator does."""
        command = ["bash", str(home() / "bin" / "artemis"), "queue", "create", "--silent"]
        command += ["--url", f"tcp://127.0.0.1:{self._management_port}"]
        command += ["--user", "operator", "--password", self.passwords["operator"]]
        command += ["--name", queue, "--address", queue, "--anycast", "--auto-create-address"]
        command += ["--durable", "--preserve-on-no-consumers"]
        place = {"PATH": os.environ["PATH"], "HOME": str(self._directory)}
        place["ARTEMIS_INSTANCE"] = str(self._directory)
        subprocess.run(command, check=True, env=place, stdout=subprocess.DEVNULL)

    def _command(self) -> list[str]:
        return [str(self._directory / "etc" / "start")]

    def _environment(self) -> Mapping[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "ARTEMIS_HOME": str(home()),
            "WEBMON_SECRETS": str(self._directory / "secrets"),
            "WEBMON_RUN": str(self._directory / "run"),
            "WEBMON_DATA": str(self._directory / "data"),
            "WEBMON_BROKER_HOST": "127.0.0.1",
            "WEBMON_BROKER_PORT": str(self.port),
            "WEBMON_MANAGEMENT_PORT": str(self._management_port),
            "WEBMON_BROKER_MEMORY": "384m",
            "JDK_JAVA_OPTIONS": "-XX:+UseSerialGC",
        }


def _open(folder: Path) -> None:
    """Let the operator do what tests need."""
    file = folder / "broker.xml"
    # As text: the broker does not understand the prefixes that an XML writer makes of namespaces.
    words = _with_last(file.read_text(encoding="utf-8"), "security-settings", _open_rights)
    file.write_text(_with_last(words, "address-settings", _open_settings), encoding="utf-8")
    roles = folder / "roles.properties"
    lines = roles.read_text(encoding="utf-8").splitlines()
    words = "\n".join(
        line if line.startswith(("#", "operator")) else f"{line},operator" for line in lines
    )
    roles.write_text(words + "\n", encoding="utf-8")


def _with_last(xml: str, name: str, element: Callable[[str], str]) -> str:
    before, end, after = xml.partition(f"</{name}>")
    if not end:
        raise ArtemisError(f"broker.xml has no {name}")
    return before + "".join(map(element, OPEN_TO_TESTS)) + end + after


def _open_rights(match: str) -> str:
    rights = "".join(f'<permission type="{kind}" roles="operator"/>' for kind in _PERMISSIONS)
    return f'<security-setting match="{match}">{rights}</security-setting>\n'


def _open_settings(match: str) -> str:
    settings = "".join(f"<{name}>true</{name}>" for name in _AUTOMATIC)
    settings += "<default-queue-routing-type>MULTICAST</default-queue-routing-type>"
    return f'<address-setting match="{match}">{settings}</address-setting>\n'


if __name__ == "__main__":
    fetch()
