"""docker-compose.yml, the images and the broker's rights agree with the code they run."""

import dataclasses
import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from dasmon_listener.config import ListenerConfig
from demo import processes
from demo.endpoints import BrokerEndpoint
from demo.postgres import Postgres
from demo.state import BROKER_USERS, Secrets, State
from demo.supervisor import Process
from postprocessing import config as agent_config
from webmon.config import WebConfig
from workflow_manager.config import WorkflowConfig
from workflow_manager.domain import destinations
from workflow_manager.domain.rules import INPUT_QUEUES, JOB_QUEUES
from workflow_manager.kernel.environment import REQUIRED

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
DOCKERFILES = sorted((ROOT / "deploy" / "images").glob("*/Dockerfile"))
PYTHON_SERVICES = (
    *("web", "workflow_manager", "dasmon_listener", "agent"),
    *("celery_worker", "celery_beat"),
)
# Variables of the images that are not ours, and of our own start scripts.
FOREIGN = {
    "database": {"POSTGRES_PASSWORD_FILE", "PGDATA"},
    "nginx": {"NGINX_ENVSUBST_OUTPUT_DIR", "WEBMON_HOST", "LARGEST_UPLOAD"},
    "broker": {"WEBMON_BROKER_MEMORY"},
}


def script(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "deploy" / name), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def make_secrets(folder: Path) -> subprocess.CompletedProcess[str]:
    # Only root has to say who; then the account named must not be root.
    owner = ("--owner", "nobody") if os.geteuid() == 0 else ()
    where = ("--secrets", folder / "secrets", "--env", folder / "env")
    return script("compose/make-secrets", "--host", "webmon.example.org", *owner, *where)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    done = make_secrets(folder)
    assert done.returncode == 0, done.stderr
    return folder


def from_yaml(text: str, docker_compose: Path) -> dict[str, Any]:
    """Read with the interpreter of docker-compose, which has PyYAML; we do not need it else."""
    interpreter = docker_compose.read_text(encoding="utf-8").splitlines()[0].removeprefix("#!")
    convert = "import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)"
    done = subprocess.run(
        [interpreter.strip(), "-c", convert], input=text, capture_output=True, text=True, check=True
    )
    content: dict[str, Any] = json.loads(done.stdout)
    return content


def configured(made: Path, *files: Path) -> dict[str, Any]:
    """What docker-compose understands, with all variables filled in."""
    program = shutil.which("docker-compose")
    if program is None:
        reason = "docker-compose is not installed (Debian package docker-compose)"
        assert os.environ.get("CI") != "true", reason
        pytest.skip(reason)
    named = [part for file in files for part in ("-f", str(file))]
    done = subprocess.run(
        [program, "--env-file", str(made / "env"), *named, "config"],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], "BROKER_ADDRESS": "192.0.2.1"},
    )
    assert done.returncode == 0, done.stderr
    assert "variable is not set" not in done.stderr
    return from_yaml(done.stdout, Path(program))


@pytest.fixture(scope="module")
def compose(made: Path) -> dict[str, Any]:
    return configured(made, COMPOSE)


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = compose["services"]
    return found


@pytest.fixture(scope="module")
def demo_processes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Process]:
    folder = tmp_path_factory.mktemp("demo")
    plan = processes.Plan(
        State(folder),
        Secrets(),
        Postgres(folder, 1, "-"),
        8000,
        BrokerEndpoint("127.0.0.1", 1, "workflow", "-"),
        embedded_broker=True,
    )
    makers = ("database", "broker", "instruments", *PYTHON_SERVICES)
    return {name: getattr(processes, name)(plan) for name in makers}


def program(command: list[str]) -> list[str]:
    """What a command runs, without its interpreter and its options."""
    words = [word for word in command[1:] if word != "-m"]
    options = {"--config", "--schedule", "--bind", "--worker-class", "-A"}
    kept: list[str] = []
    for before, word in zip(["", *words], words, strict=False):
        if not word.startswith("-") and (before not in options or before == "-A"):
            kept.append(word)
    return kept


def test_the_services_are_the_processes_of_the_demo(
    services: dict[str, Any], demo_processes: dict[str, Process]
) -> None:
    in_demo = {process.name for process in demo_processes.values()}
    assert set(services) == in_demo - {"instruments"} | {"redis", "nginx", "migrate"}


@pytest.mark.parametrize("name", PYTHON_SERVICES)
def test_a_service_runs_the_program_of_the_demo(
    name: str, services: dict[str, Any], demo_processes: dict[str, Process]
) -> None:
    ours = services[name]["command"]
    theirs = [str(word) for word in demo_processes[name].command]
    wanted = [word for word in program(theirs) if word not in ("1", "-", "3", "127.0.0.1:8000")]
    assert ours[0] == "python"
    assert wanted
    assert program(ours) == wanted


def test_the_web_server_has_the_worker_of_the_demo(
    services: dict[str, Any], demo_processes: dict[str, Process]
) -> None:
    worker = "uvicorn_worker.UvicornWorker"
    assert f"--worker-class={worker}" in services["web"]["command"]
    assert worker in demo_processes["web"].command


def names_of(config: Any) -> set[str]:
    declared = [field.metadata for field in dataclasses.fields(config)]
    files = {f"{each['name']}_FILE" for each in declared if each["secret"]}
    return {each["name"] for each in declared} | files


def test_every_variable_is_one_that_its_process_reads(services: dict[str, Any]) -> None:
    web = names_of(WebConfig)
    known = {name: web for name in ("migrate", "web", "celery_worker", "celery_beat")}
    known |= {"workflow_manager": web | names_of(WorkflowConfig)} | FOREIGN
    known |= {"dasmon_listener": web | names_of(ListenerConfig)}
    unknown = {
        f"{name}: {variable}"
        for name, service in services.items()
        for variable in set(service.get("environment") or {}) - known.get(name, set())
    }
    assert unknown == set()


@pytest.mark.parametrize("name", ["web", "workflow_manager", "dasmon_listener", "migrate"])
def test_nothing_that_a_process_requires_is_missing(name: str, services: dict[str, Any]) -> None:
    own: dict[str, list[Any]] = {
        "workflow_manager": [WorkflowConfig],
        "dasmon_listener": [ListenerConfig],
    }
    configs = [WebConfig, *own.get(name, [])]
    given = {variable.removesuffix("_FILE") for variable in services[name]["environment"]}
    required = {
        field.metadata["name"]
        for config in configs
        for field in dataclasses.fields(config)
        if field.metadata["default"] is REQUIRED
    }
    assert required
    assert required <= given


def test_every_secret_file_is_given_to_the_service_that_reads_it(services: dict[str, Any]) -> None:
    for name, service in services.items():
        text = json.dumps([service.get("environment"), service.get("command")])
        named = set(re.findall(r"/run/secrets/(\w+)", text))
        assert named <= {secret["source"] for secret in service.get("secrets", [])}, name


def test_the_agents_file_is_one_that_the_agent_takes(services: dict[str, Any]) -> None:
    file = ROOT / "deploy" / "compose" / "post_processing.conf"
    content = json.loads(file.read_text(encoding="utf-8"))
    fields = {field.name for field in dataclasses.fields(agent_config.Config)}
    assert {key.removesuffix("_file") for key in content} <= fields
    for key in agent_config.SECRETS:
        if path := content.pop(f"{key}_file", None):
            assert Path(path).name in {each["source"] for each in services["agent"]["secrets"]}
            content[key] = "given"
    config = agent_config.parse(content)
    assert config.brokers == (("broker", 61613),)
    assert config.heart_beat == destinations.AGENT_HEARTBEAT


def test_every_service_is_watched_limited_and_confined(services: dict[str, Any]) -> None:
    for name, service in services.items():
        once = name == "migrate"
        assert service["restart"] == ("no" if once else "unless-stopped"), name
        assert (service["healthcheck"]["test"] == ["NONE"]) is once, name
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["user"].split(":")[0] not in ("", "0"), name
        assert {"mem_limit", "cpus", "pids_limit"} <= set(service), name


def test_the_documentation_says_what_healthy_means(services: dict[str, Any]) -> None:
    page = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| `(\w+)` \|", page.split("\n## Health\n")[1], re.MULTILINE)
    assert set(table) == set(services) - {"migrate"}


def test_every_image_has_a_version(services: dict[str, Any]) -> None:
    images = {name: service["image"] for name, service in services.items()}
    versions = {name: image.partition(":")[2] for name, image in images.items()}
    assert all(versions.values())
    assert not {name for name, version in versions.items() if version.startswith("latest")}
    foreign = {name for name in images if "build" not in services[name]}
    assert not {name for name in foreign if not re.search(r"\d+\.\d+", versions[name])}


def test_only_nginx_is_reached_from_outside(services: dict[str, Any]) -> None:
    assert {name for name, service in services.items() if service.get("ports")} == {"nginx"}


def test_the_agent_does_not_reach_the_database(
    compose: dict[str, Any], services: dict[str, Any]
) -> None:
    assert set(services["agent"]["networks"]) == {"agents"}
    assert set(services["database"]["networks"]) == {"backend"}
    assert compose["networks"]["backend"]["internal"] is True


def test_the_broker_is_opened_by_a_file_of_its_own(made: Path) -> None:
    opened = configured(made, COMPOSE, ROOT / "deploy" / "compose" / "remote-agents.yml")
    assert opened["services"]["broker"]["ports"] == ["192.0.2.1:61613:61613/tcp"]


def test_what_is_mounted_is_there(compose: dict[str, Any], made: Path) -> None:
    data = made / "deploy" / "compose" / "data"
    for name, service in compose["services"].items():
        for volume in service.get("volumes", []):
            source = Path(volume["source"])
            ours = ROOT / "deploy" / "compose" / "data"
            if source.is_relative_to(ours):
                assert (data / source.relative_to(ours)).is_dir(), f"{name}: {source}"
            elif source.is_relative_to(ROOT):
                assert source.exists(), f"{name}: {source}"
    scripts = [
        service["entrypoint"]
        for service in compose["services"].values()
        if service.get("entrypoint")
    ]
    assert scripts == [["/etc/artemis/start"]]


def test_secrets_are_made_for_their_owner_only_and_stay(
    compose: dict[str, Any], made: Path
) -> None:
    files = {name: made / "secrets" / name for name in compose["secrets"]}
    assert {Path(each["file"]).name for each in compose["secrets"].values()} == set(files)
    assert {stat.S_IMODE(file.stat().st_mode) for file in files.values()} == {0o600}
    before = {name: file.read_bytes() for name, file in files.items()}
    assert len(set(before.values())) == len(files)
    assert make_secrets(made).returncode == 0
    assert {name: file.read_bytes() for name, file in files.items()} == before


def test_git_ignores_secrets_and_data() -> None:
    paths = ["deploy/compose/secrets/app_secret", "deploy/compose/data/database/PG_VERSION"]
    done = subprocess.run(
        ["git", "check-ignore", *paths], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == paths


def deployed_files() -> Iterator[Path]:
    yield from (COMPOSE, ROOT / ".env.example")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "deploy"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    yield from (ROOT / name for name in listed.stdout.split("\0") if name)


# A key that names a secret, and a value that is neither a file, nor a variable, nor a word of ours.
LITERAL = re.compile(
    r"""(?i)\b[\w.-]*(?:passw(?:or)?d|passcode|passphrase|_pwd|_pass|secret_key|api_token)
        ["']?\s*(?!:')[:=]\s*["']?
        (?!\$|`|/run/secrets|\./|\{)
        ([A-Za-z0-9+/_-]{4,})""",
    re.VERBOSE,
)


@pytest.mark.parametrize(
    ("line", "is_one"),
    [
        ('"amq_pwd": "icat1234",', True),
        ("POSTGRES_PASSWORD: hunter22", True),
        ("ARTEMIS_PASSWORD=artemis", True),
        ('"amq_pwd_file": "/run/secrets/broker_agent",', False),
        ("DATABASE_PASS_FILE: /run/secrets/database_password", False),
        ('password="${webmon.agent.password}"', False),
        ("CREATE ROLE webmon LOGIN PASSWORD :'password';", False),
    ],
)
def test_a_literal_password_is_recognised(line: str, is_one: bool) -> None:
    assert bool(LITERAL.search(line)) is is_one


def test_no_password_is_written_down() -> None:
    files = [file for file in deployed_files() if file.suffix != ".lock"]
    found = [
        f"{file.relative_to(ROOT)}: {line.strip()}"
        for file in files
        for line in file.read_text(encoding="utf-8").splitlines()
        if LITERAL.search(line)
    ]
    assert files
    assert found == []


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda file: file.parent.name)
def test_a_dockerfile_copies_what_is_there_and_allowed(dockerfile: Path) -> None:
    text = dockerfile.read_text(encoding="utf-8")
    copied = re.findall(r"^COPY (?!--from)(\S+) \S+$", text, re.MULTILINE)
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    allowed = [line[1:] for line in ignored if line.startswith("!")]
    assert copied
    for name in copied:
        assert (ROOT / name).exists(), name
        assert any(name == each or name.startswith(f"{each}/") for each in allowed), name
    assert "--require-hashes" in text
    assert re.findall(r"^USER (\S+)$", text, re.MULTILINE)[-1] == "10001:10001"


def test_the_agents_image_holds_all_that_the_agent_imports(tmp_path: Path) -> None:
    """What its Dockerfile copies, and nothing else of ours, is enough to start it."""
    text = (ROOT / "deploy" / "images" / "agent" / "Dockerfile").read_text(encoding="utf-8")
    for source, target in re.findall(r"^COPY ((?!--from)\S+) \./(\S+)$", text, re.MULTILINE):
        place = tmp_path / target
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, place)
        else:
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / source, place)
    done = subprocess.run(
        [sys.executable, "-m", "postprocessing", "--config", str(tmp_path / "absent")],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "absent cannot be read" in done.stderr


NAMESPACE = {"a": "urn:activemq:core"}


@pytest.fixture(scope="module")
def broker() -> ElementTree.Element:
    return ElementTree.parse(ROOT / "deploy" / "artemis" / "broker.xml").getroot()  # noqa: S314


def rights(broker: ElementTree.Element, address: str) -> dict[str, set[str]]:
    """The roles of each permission, by the most specific setting that fits."""
    settings = {
        each.attrib["match"]: each for each in broker.iterfind(".//a:security-setting", NAMESPACE)
    }
    best = max(
        (name for name in settings if fits(name, address)),
        key=lambda name: (name == address, name.count(".") - 10 * name.count("#"), len(name)),
    )
    permissions = settings[best].iterfind("a:permission", NAMESPACE)
    return {each.attrib["type"]: set(each.attrib["roles"].split(",")) for each in permissions}


def fits(match: str, address: str) -> bool:
    """`*` is one word and `#` any number of them."""
    pattern = re.escape(match).replace(r"\.\#", r"(\..*)?").replace(r"\#", ".*")
    return re.fullmatch(pattern.replace(r"\*", r"[^.]+"), address) is not None


def test_every_queue_of_the_workflow_is_declared(broker: ElementTree.Element) -> None:
    declared = {each.attrib["name"] for each in broker.iterfind(".//a:queue", NAMESPACE)}
    assert {*INPUT_QUEUES, *JOB_QUEUES, "DLQ", "ExpiryQueue"} <= declared


def test_only_the_workflow_manager_reads_reports(broker: ElementTree.Element) -> None:
    for name in INPUT_QUEUES:
        assert rights(broker, name)["consume"] == {"workflow"}, name


def test_only_agents_take_jobs_and_only_the_workflow_manager_sends_them(
    broker: ElementTree.Element,
) -> None:
    for name in JOB_QUEUES:
        assert rights(broker, name)["consume"] == {"agent"}, name
        assert rights(broker, name)["send"] == {"workflow", "operator"}, name


def test_an_agent_sends_reports_and_heartbeats_and_nothing_else(
    broker: ElementTree.Element,
) -> None:
    agents = {name for name in INPUT_QUEUES if "agent" in rights(broker, name)["send"]}
    assert {destinations.REDUCTION_COMPLETE, destinations.POSTPROCESS_ERROR} <= agents
    assert not agents & {
        destinations.POSTPROCESS_DATA_READY,
        destinations.REDUCTION_REQUEST,
        destinations.CATALOG_REQUEST,
    }
    heartbeat = destinations.bare_name(destinations.AGENT_HEARTBEAT)
    assert rights(broker, heartbeat)["send"] == {"agent"}
    assert "agent" not in rights(broker, "SNS.ARCS.APP.DASMON")["send"]


def test_an_unknown_address_is_open_to_nobody(broker: ElementTree.Element) -> None:
    assert rights(broker, "SOMETHING.ELSE") == {"browse": {"operator"}}


def test_the_brokers_users_have_a_role_and_a_secret(compose: dict[str, Any]) -> None:
    lines = (ROOT / "deploy" / "artemis" / "roles.properties").read_text(encoding="utf-8")
    roles = dict(re.findall(r"^(\w+) = (\w+)$", lines, re.MULTILINE))
    assert set(roles) >= set(BROKER_USERS)
    assert {f"broker_{user}" for user in roles.values()} == {
        name for name in compose["secrets"] if name.startswith("broker_")
    }


def test_the_broker_speaks_stomp_with_both_prefixes(broker: ElementTree.Element) -> None:
    acceptors = broker.iterfind(".//a:acceptor", NAMESPACE)
    urls = {each.attrib["name"]: each.text or "" for each in acceptors}
    options = set(urls["stomp"].partition("?")[2].split(";"))
    assert {"protocols=STOMP", "anycastPrefix=/queue/", "multicastPrefix=/topic/"} <= options
    assert "stompEnableMessageId=true" in options
    assert any(each.startswith("connectionTtl=") for each in options)
    assert urls["management"].startswith("tcp://127.0.0.1:")


def test_nginx_has_the_limit_of_uploads_and_does_not_hold_events_back() -> None:
    text = (ROOT / "deploy" / "nginx" / "nginx.conf.template").read_text(encoding="utf-8")
    assert "client_max_body_size ${LARGEST_UPLOAD};" in text
    events = text.split("location /events/ {")[1].split("}")[0]
    assert "proxy_buffering off;" in events
    assert "proxy_set_header X-Real-IP $remote_addr;" in text
    assert "add_header" not in text
