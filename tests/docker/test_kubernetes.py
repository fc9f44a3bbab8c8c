"""The manifests for Kubernetes: right by its schemas, and fit together. No cluster has run them."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from resumable.launch.cli.options import job_options
from resumable.launch.cli.parser import parse
from resumable.launch.plan.scripts import script_file
from tests.import_graph import ROOT

FILE = ROOT / "docker/kubernetes.yaml"
MANIFESTS: list[dict[str, Any]] = list(yaml.safe_load_all(FILE.read_text()))
BY_KIND = {manifest["kind"]: manifest for manifest in MANIFESTS}
POD = BY_KIND["Job"]["spec"]["template"]["spec"]
NODE = POD["containers"][0]


@pytest.mark.parametrize("manifest", MANIFESTS, ids=list(BY_KIND))
def test_a_manifest_is_right_by_the_schemas(manifest: dict[str, Any]) -> None:
    """Every field exists and has its type; the schemas come with the validator."""
    validator = pytest.importorskip("kubernetes_validate", reason="MANIFESTS NOT CHECKED: no kubernetes_validate")
    validator.validate(manifest, validator.latest_version().rpartition(".")[0], strict=True)


def test_a_field_that_there_is_not_would_be_found() -> None:
    """The validator can fail."""
    validator = pytest.importorskip("kubernetes_validate", reason="MANIFESTS NOT CHECKED: no kubernetes_validate")
    wrong = {**BY_KIND["Service"], "spec": {**BY_KIND["Service"]["spec"], "publishNotReady": True}}
    with pytest.raises(validator.ValidationError):
        validator.validate(wrong, validator.latest_version().rpartition(".")[0], strict=True)


def test_pods_find_each_other_before_any_is_ready() -> None:
    """By names that the service gives them."""
    service = BY_KIND["Service"]["spec"]
    name = BY_KIND["Job"]["metadata"]["name"]
    assert ("None", True, {"job-name": name}) == (
        service["clusterIP"],
        service["publishNotReadyAddresses"],
        service["selector"],
    )
    assert (POD["subdomain"], BY_KIND["Job"]["spec"]["completionMode"]) == (
        BY_KIND["Service"]["metadata"]["name"],
        "Indexed",
    )


def test_a_pod_has_shared_memory_for_loader_workers_and_a_disk_that_outlives_it() -> None:
    """And is started again where it is."""
    volumes = {volume["name"]: volume for volume in POD["volumes"]}
    mounts = {mount["mountPath"]: volumes[mount["name"]] for mount in NODE["volumeMounts"]}
    assert mounts["/dev/shm"]["emptyDir"]["medium"] == "Memory"
    assert (
        BY_KIND["PersistentVolumeClaim"]["metadata"]["name"] == mounts["/shared"]["persistentVolumeClaim"]["claimName"]
    )
    assert POD["restartPolicy"] == "OnFailure"


def test_the_command_is_one_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """With as many nodes as there are pods, and a port that the service names."""
    monkeypatch.chdir(ROOT / "tests/integration/jobs")
    program, *words = NODE["command"]
    options = job_options(parse([*words[:-1], "plain.py"]))
    pods, port = BY_KIND["Job"]["spec"]["parallelism"], BY_KIND["Service"]["spec"]["ports"][0]["port"]
    assert ("resumable", script_file("plain.py", ())) == (program, options.script)
    assert (f"2:{pods}", f"job7-0.job7:{port}") == (options.torchrun["nnodes"], options.torchrun["rdzv_endpoint"])


def test_it_says_that_nobody_has_run_it() -> None:
    """At its head."""
    assert "and not run" in FILE.read_text().partition("apiVersion")[0]
