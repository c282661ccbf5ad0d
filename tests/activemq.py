"""ActiveMQ Classic of the Debian package as an ordinary process, with our own configuration.

with ActiveMQ(directory) as broker:
    broker.port, broker.user, broker.password
"""

import shutil
from pathlib import Path

from tests.broker_process import BrokerProcess, required

JARS = Path("/usr/share/activemq/lib")
CONFIGURATION = Path(__file__).parent.parent / "deploy" / "activemq"


def missing() -> str | None:
    """Why ActiveMQ cannot run here, as a sentence, or None."""
    if shutil.which("java") is None:
        return "java is not installed (Debian package default-jre-headless)"
    if not (JARS / "activemq-broker.jar").exists():
        return "ActiveMQ is not installed (Debian package activemq)"
    return None


def require() -> str | None:
    """Like `missing`, but where CI=true nothing may be left out.

    Raises:
        BrokerMissingError: it cannot run and CI=true.
    """
    return required(missing())


class ActiveMQ(BrokerProcess):
    """ActiveMQ Classic; `workflow` may do everything there."""

    name = "activemq"
    roles = ("workflow", "listener", "agent", "instruments")

    def __init__(self, directory: Path, user: str = "workflow") -> None:
        super().__init__(directory, user)

    def _command(self) -> list[str]:
        properties = {
            "webmon.host": "127.0.0.1",
            "webmon.port": str(self.port),
            "webmon.data": str(self._directory / "data"),
            "java.io.tmpdir": str(self._directory),
            "log4j.configuration": f"file:{CONFIGURATION / 'log4j.properties'}",
            **{f"webmon.{role}.password": word for role, word in self.passwords.items()},
        }
        return [
            "java",
            "-Xmx384m",
            "-XX:+UseSerialGC",
            *(f"-D{name}={value}" for name, value in properties.items()),
            "-cp",
            f"{JARS}/*:{JARS}/optional/*",
            "org.apache.activemq.console.Main",
            "start",
            f"xbean:file:{CONFIGURATION / 'activemq.xml'}",
        ]
