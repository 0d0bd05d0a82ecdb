"""The objects that `connect` puts into a cluster, as small as the agent's work allows.

They are applied server-side, in this order; `delete` removes the namespace with what is in it, and
`cluster_scoped` beside it. What Azure RBAC takes is apart: only `enable-features` applies it.
"""

from dataclasses import dataclass, field

from lightkube.core.resource import GlobalResource, NamespacedResource
from lightkube.models.apps_v1 import DeploymentSpec
from lightkube.models.core_v1 import (
    Capabilities,
    Container,
    EmptyDirVolumeSource,
    EnvVar,
    PodSecurityContext,
    PodSpec,
    PodTemplateSpec,
    ResourceRequirements,
    SeccompProfile,
    SecurityContext,
    Volume,
    VolumeMount,
)
from lightkube.models.meta_v1 import LabelSelector, ObjectMeta
from lightkube.models.rbac_v1 import RoleRef, Subject
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import ConfigMap, Namespace, Secret, ServiceAccount
from lightkube.resources.rbac_authorization_v1 import (
    ClusterRole,
    ClusterRoleBinding,
    Role,
    RoleBinding,
)

from towrope import __version__
from towrope.client.agent_rights import (
    Impersonation,
    azure_rbac_rules,
    cluster_rules,
    namespace_rules,
)
from towrope.wire import names

IMAGE = f"ghcr.io/towrope/towrope:{__version__}"
LABELS = {
    "app.kubernetes.io/name": names.AGENT_NAME,
    "app.kubernetes.io/managed-by": "towrope",
}
SELECTOR = {"app.kubernetes.io/name": names.AGENT_NAME}
ONBOARDING_ANNOTATION = "towrope.dev/onboarding"
AZURE_RBAC_NAME = f"{names.AGENT_NAME}-azure-rbac"
"""Of the ClusterRole, and its binding, that lets the agent carry out role assignments."""
SCRATCH = "/run/towrope"
"""Where the agent may write; in memory, for private keys pass through it."""
AUDIT_VARIABLE = "TOWROPE_AUDIT"
"""Where the agent writes its audit events; see `towrope agent --audit`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """What the agent has to know."""

    resource_id: str
    server: str
    server_ca: bytes | None
    """PEM; None where the system's authorities are enough."""
    onboarding_key: str = field(repr=False)
    """The private half, PEM."""
    onboarding_id: str
    """Another one for each onboarding, so that the pods are replaced."""
    impersonation: Impersonation = Impersonation.LEGACY
    image: str = IMAGE


def in_cluster(installation: Installation) -> list[NamespacedResource | GlobalResource]:
    """Everything but the Deployment."""
    return [
        _namespace(),
        ServiceAccount(metadata=_meta(), automountServiceAccountToken=False),
        Role(metadata=_meta(), rules=namespace_rules()),
        RoleBinding(
            metadata=_meta(),
            roleRef=RoleRef(
                apiGroup="rbac.authorization.k8s.io", kind="Role", name=names.AGENT_NAME
            ),
            subjects=[_account()],
        ),
        cluster_role(installation.impersonation),
        _cluster_role_binding(names.AGENT_NAME),
        ConfigMap(
            metadata=_meta(),
            data={
                names.CONFIG_SERVER: installation.server,
                names.CONFIG_SERVER_CA: (installation.server_ca or b"").decode(),
                names.CONFIG_RESOURCE_ID: installation.resource_id,
            },
        ),
        Secret(
            metadata=_meta(names.ONBOARDING_SECRET),
            type="Opaque",
            stringData={"privateKey": installation.onboarding_key},
        ),
    ]


def cluster_role(impersonation: Impersonation) -> ClusterRole:
    return ClusterRole(metadata=_cluster_meta(), rules=cluster_rules(impersonation))


def azure_rbac() -> list[GlobalResource]:
    """The agent's rights to make roles and bindings."""
    role = ClusterRole(metadata=_cluster_meta(AZURE_RBAC_NAME), rules=azure_rbac_rules())
    return [role, _cluster_role_binding(AZURE_RBAC_NAME)]


def azure_rbac_scoped() -> list[tuple[type[GlobalResource], str]]:
    """The same, to be removed by name."""
    return [(ClusterRoleBinding, AZURE_RBAC_NAME), (ClusterRole, AZURE_RBAC_NAME)]


def cluster_scoped() -> list[tuple[type[GlobalResource], str]]:
    """What outlives the namespace unless it is removed by name."""
    return [
        *azure_rbac_scoped(),
        (ClusterRoleBinding, names.AGENT_NAME),
        (ClusterRole, names.AGENT_NAME),
    ]


def deployment(installation: Installation) -> Deployment:
    annotations = {ONBOARDING_ANNOTATION: installation.onboarding_id}
    return Deployment(
        metadata=_meta(),
        spec=DeploymentSpec(
            replicas=1,
            selector=LabelSelector(matchLabels=SELECTOR),
            template=PodTemplateSpec(
                metadata=ObjectMeta(labels=LABELS, annotations=annotations),
                spec=_pod(installation.image),
            ),
        ),
    )


def _cluster_role_binding(name: str) -> ClusterRoleBinding:
    return ClusterRoleBinding(
        metadata=_cluster_meta(name),
        roleRef=RoleRef(apiGroup="rbac.authorization.k8s.io", kind="ClusterRole", name=name),
        subjects=[_account()],
    )


def _account() -> Subject:
    return Subject(
        kind="ServiceAccount", name=names.AGENT_NAME, namespace=names.NAMESPACE, apiGroup=""
    )


def _namespace() -> Namespace:
    enforced = {
        f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")
    }
    return Namespace(metadata=ObjectMeta(name=names.NAMESPACE, labels={**LABELS, **enforced}))


def _pod(image: str) -> PodSpec:
    return PodSpec(
        serviceAccountName=names.AGENT_NAME,
        automountServiceAccountToken=True,
        terminationGracePeriodSeconds=15,
        securityContext=PodSecurityContext(
            runAsNonRoot=True, seccompProfile=SeccompProfile(type="RuntimeDefault")
        ),
        nodeSelector={"kubernetes.io/os": "linux"},
        containers=[_container(image)],
        volumes=[Volume(name="scratch", emptyDir=EmptyDirVolumeSource(medium="Memory"))],
    )


def _container(image: str) -> Container:
    return Container(
        name="agent",
        image=image,
        command=["towrope", "agent"],
        env=[EnvVar(name="TMPDIR", value=SCRATCH), EnvVar(name=AUDIT_VARIABLE, value="stdout")],
        volumeMounts=[VolumeMount(name="scratch", mountPath=SCRATCH)],
        resources=ResourceRequirements(
            requests={"cpu": "20m", "memory": "64Mi"}, limits={"memory": "512Mi"}
        ),
        securityContext=SecurityContext(
            allowPrivilegeEscalation=False,
            readOnlyRootFilesystem=True,
            runAsNonRoot=True,
            capabilities=Capabilities(drop=["ALL"]),
            seccompProfile=SeccompProfile(type="RuntimeDefault"),
        ),
    )


def _meta(name: str = names.AGENT_NAME) -> ObjectMeta:
    return ObjectMeta(name=name, namespace=names.NAMESPACE, labels=LABELS)


def _cluster_meta(name: str = names.AGENT_NAME) -> ObjectMeta:
    return ObjectMeta(name=name, labels=LABELS)
