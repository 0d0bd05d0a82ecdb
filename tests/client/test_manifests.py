"""What is installed. That it runs, and how little it may do, is tested by `connect`."""

from dataclasses import replace

from lightkube.resources.core_v1 import ConfigMap, Namespace, Secret
from lightkube.resources.rbac_authorization_v1 import ClusterRole, ClusterRoleBinding

from towrope.client.agent_rights import Impersonation, azure_rbac_rules, cluster_rules
from towrope.client.manifests import (
    IMAGE,
    Installation,
    azure_rbac,
    azure_rbac_scoped,
    cluster_scoped,
    deployment,
    in_cluster,
)
from towrope.wire import names

INSTALLATION = Installation(
    resource_id="/r",
    server="https://a.example",
    server_ca=b"PEM",
    onboarding_key="s3cret",
    onboarding_id="one",
)


def test_onboarding_key_is_not_shown() -> None:
    assert "s3cret" not in repr(INSTALLATION)


def test_namespace_comes_first() -> None:
    first = in_cluster(INSTALLATION)[0]
    assert isinstance(first, Namespace)
    assert first.metadata is not None
    labels = first.metadata.labels or {}
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_agents_facts() -> None:
    (config,) = (each for each in in_cluster(INSTALLATION) if isinstance(each, ConfigMap))
    assert config.data == {
        "server": "https://a.example",
        "server-ca.crt": "PEM",
        "resourceId": "/r",
    }
    (secret,) = (each for each in in_cluster(INSTALLATION) if isinstance(each, Secret))
    assert secret.stringData == {"privateKey": "s3cret"}
    assert secret.metadata is not None
    assert secret.metadata.name == names.ONBOARDING_SECRET


def test_system_trust_needs_no_authority() -> None:
    plain = Installation(
        resource_id="/r",
        server="https://a.example",
        server_ca=None,
        onboarding_key="k",
        onboarding_id="one",
    )
    (config,) = (each for each in in_cluster(plain) if isinstance(each, ConfigMap))
    assert config.data is not None
    assert config.data["server-ca.crt"] == ""


def test_pod_is_hardened() -> None:
    spec = deployment(INSTALLATION).spec
    assert spec is not None
    pod = spec.template.spec
    assert pod is not None
    (container,) = pod.containers
    assert container.image == IMAGE
    assert container.command == ["towrope", "agent"]
    context = container.securityContext
    assert context is not None
    assert context.readOnlyRootFilesystem
    assert context.runAsNonRoot
    assert context.allowPrivilegeEscalation is False
    assert context.capabilities is not None
    assert context.capabilities.drop == ["ALL"]
    assert pod.terminationGracePeriodSeconds == 15
    assert not pod.hostNetwork


def test_pod_writes_its_audit_events_to_standard_output() -> None:
    spec = deployment(INSTALLATION).spec
    assert spec is not None
    assert spec.template.spec is not None
    (container,) = spec.template.spec.containers
    assert ("TOWROPE_AUDIT", "stdout") in {(each.name, each.value) for each in container.env or []}


def test_rights_are_those_of_the_clusters_kind() -> None:
    for impersonation in Impersonation:
        made = in_cluster(replace(INSTALLATION, impersonation=impersonation))
        (role,) = (each for each in made if isinstance(each, ClusterRole))
        assert role.rules == cluster_rules(impersonation)


def test_azure_rbac_is_apart_and_goes_with_the_rest() -> None:
    role, binding = azure_rbac()
    assert isinstance(role, ClusterRole)
    assert isinstance(binding, ClusterRoleBinding)
    assert role.metadata is not None
    assert binding.roleRef.name == role.metadata.name == "towrope-agent-azure-rbac"
    assert role.rules == azure_rbac_rules()
    assert role not in in_cluster(INSTALLATION)
    assert set(azure_rbac_scoped()) < set(cluster_scoped())


def test_another_onboarding_replaces_the_pods() -> None:
    def annotations(onboarding_id: str) -> object:
        made = Installation(
            resource_id="/r",
            server="s",
            server_ca=None,
            onboarding_key="k",
            onboarding_id=onboarding_id,
        )
        spec = deployment(made).spec
        assert spec is not None
        assert spec.template.metadata is not None
        return spec.template.metadata.annotations

    assert annotations("one") != annotations("two")
