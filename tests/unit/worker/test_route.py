from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from botocore.httpsession import get_cert_path

from worker.route import authorities

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")


def test_certificates_come_with_botocore() -> None:
    assert authorities() == get_cert_path(verify=True)


def test_else_whoever_is_named_first_as_botocore_has_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/requests.pem")
    assert authorities() == "/requests.pem"

    config = tmp_path / "config"
    config.write_text("[default]\nca_bundle = /config.pem\n", encoding="utf-8")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    assert authorities() == "/config.pem"

    monkeypatch.setenv("AWS_CA_BUNDLE", "/environment.pem")
    assert authorities() == "/environment.pem"
