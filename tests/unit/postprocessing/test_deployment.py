"""The sample configuration is one that the agent takes."""

import json
from pathlib import Path

from postprocessing.config import parse

SAMPLE = Path(__file__).resolve().parents[3] / "deploy" / "agent" / "post_processing.conf"


def test_the_sample_configuration_can_be_used() -> None:
    content = json.loads(SAMPLE.read_text())
    secrets = {"amq_pwd_file", "publisher_password_file"}
    assert secrets <= content.keys()
    given = {key: value for key, value in content.items() if key not in secrets}
    config = parse({**given, "amq_pwd": "x", "publisher_password": "y"})
    assert config.brokers[0] == ("amqbroker1.example.org", 61613)
    assert "${run_number}" in config.publish_url_template
