"""`towrope role assignment explain`: why somebody may, or may not, do something.

`az` has nothing like it. The chain is: the principal, the groups by which an assignment is its own,
the role, the pattern in it, and what the agent makes of it in the cluster.
"""

import shlex
from typing import Any

import click

from towrope.client.cli.authorization_context import (
    assignee_options,
    authorization_from_context,
    chosen_principal,
    chosen_scope,
    scope_options,
)
from towrope.client.cli.command import command
from towrope.client.rest import Json

DECISIONS = {
    "Allowed": "Allowed",
    "NotAllowed": "Not allowed",
    "NoOpinion": "Role assignments do not decide here",
}
LACKS = {
    "NotNamed": "which does not allow it",
    "TakenAway": "which takes it away",
    "OtherNamespace": "which is for another namespace",
}


def said(answer: Json) -> str:
    """The chain, as a person reads it."""
    principal = answer["principal"]
    name = principal["name"] or principal["id"]
    decision = DECISIONS.get(answer["accessDecision"], answer["accessDecision"])
    lines = [f"{decision}. {answer['reason']}", "", name]
    for finding in answer["findings"]:
        lines += _finding(finding)
    if not answer["findings"]:
        lines.append("  has no role assignment that holds there")
    if answer["nearestRoles"]:
        lines += ["", "These roles would allow it, the smallest first:"]
        lines += [f"  {each['roleName']}" for each in answer["nearestRoles"]]
        lines += ["", "Give one:", f"  {_remedy(answer)}"]
    return "\n".join(lines)


def _finding(finding: Json) -> list[str]:
    through = " > ".join(each["displayName"] or each["id"] for each in finding["through"])
    lines = [f"  in the group {through}"] if through else []
    lacks = finding["lacks"]
    verdict = LACKS.get(lacks, lacks) if lacks else "which allows it"
    lines.append(f"  has the role '{finding['role']['roleName']}', {verdict}")
    lines.append(f"    at       {finding['scope']}")
    if finding["pattern"]:
        lines.append(f"    pattern  {finding['pattern']}")
    if finding["native"]:
        lines += _native(finding["native"])
    return lines


def _native(native: Json) -> list[str]:
    where = f" in namespace {native['namespace']}" if native["namespace"] else ""
    lines = [f"    native   {native['bindingKind']} {native['binding']}{where}"]
    if rule := native["rule"]:
        groups = [group or "core" for group in rule["apiGroups"]]
        lines.append(
            f"    rule     {', '.join(rule['verbs'])} on {', '.join(rule['resources'])}"
            f" ({', '.join(groups)})"
        )
    return lines


def _remedy(answer: Json) -> str:
    scope = answer["scope"]
    if answer["namespace"]:
        scope += f"/namespaces/{answer['namespace']}"
    words = ["towrope", "role", "assignment", "create"]
    words += ["--role", answer["nearestRoles"][0]["roleName"]]
    words += ["--assignee-object-id", answer["principal"]["id"], "--scope", scope]
    return shlex.join(words)


@command(
    "explain",
    example="""
    towrope role assignment explain --assignee ada@example.com --scope $CLUSTER_ID \
--verb create --resource pods/exec --namespace tills
    towrope role assignment explain --assignee ada@example.com --scope $CLUSTER_ID \
--verb list --resource deployments.apps -o json
    towrope role assignment explain --assignee ada@example.com -g shops \
--action Microsoft.Kubernetes/connectedClusters/read
    """,
    text=said,
)
@assignee_options
@scope_options
@click.option("--verb", help="What is done in the cluster: get, list, watch, create, ….")
@click.option("--resource", help="With what, as kubectl has it: pods, pods/exec, deployments.apps.")
@click.option("--namespace", default="", help="In which namespace; else in the whole cluster.")
@click.option("--name", default="", help="The one object that is meant.")
@click.option("--action", help="An operation of the resource API, in place of verb and resource.")
def explain(**options: Any) -> Json:
    """Tell why somebody may, or may not, do something."""
    if bool(options["action"]) == bool(options["verb"] and options["resource"]):
        raise click.UsageError("Say what: --verb and --resource, or --action.")
    asked = {"action": options["action"]} if options["action"] else _in_cluster(options)
    with authorization_from_context() as authorization:
        scope = chosen_scope(authorization, options["scope"], options["resource_group"])
        principal = chosen_principal(
            authorization, options["assignee"], options["assignee_object_id"]
        )
        if scope is None or principal is None:
            raise click.UsageError("Say who and where: --assignee, and --scope or -g.")
        return authorization.explain(scope, {"principalId": principal.object_id, **asked})


def _in_cluster(options: Json) -> Json:
    """`deployments.apps/scale` is a resource, its API group and a subresource."""
    named, _, subresource = options["resource"].partition("/")
    resource, _, group = named.partition(".")
    return {
        "verb": options["verb"],
        "group": group,
        "resource": resource,
        "subresource": subresource,
        "namespace": options["namespace"],
        "name": options["name"],
    }
