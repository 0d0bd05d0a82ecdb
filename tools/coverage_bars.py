"""Holds branch coverage to its bars: 100 % where access is decided, 90 % elsewhere."""

import json
import subprocess
import sys
from pathlib import Path

EVERYTHING = (
    "src/towrope/wire/",
    "src/towrope/relay/admission.py",
    "src/towrope/agent/access_reviews.py",
    "src/towrope/agent/bindings.py",
    "src/towrope/agent/current_policy.py",
    "src/towrope/agent/denials.py",
    "src/towrope/agent/flights.py",
    "src/towrope/agent/identity.py",
    "src/towrope/agent/impersonation.py",
    "src/towrope/agent/issuers.py",
    "src/towrope/agent/live_requests.py",
    "src/towrope/agent/memberships.py",
    "src/towrope/agent/objections.py",
    "src/towrope/agent/own_credential.py",
    "src/towrope/agent/rbac_changes.py",
    "src/towrope/agent/revocation.py",
    "src/towrope/agent/rights.py",
    "src/towrope/agent/policy_differences.py",
    "src/towrope/agent/policy_objects.py",
    "src/towrope/agent/screening.py",
    "src/towrope/agent/self_reviews.py",
    "src/towrope/agent/tokens.py",
    "src/towrope/agent/trust.py",
    "src/towrope/agent/usernames.py",
    "src/towrope/control/agent_keys.py",
    "src/towrope/control/assignability.py",
    "src/towrope/control/authentication.py",
    "src/towrope/control/authority.py",
    "src/towrope/control/authorization_filter.py",
    "src/towrope/control/check_access.py",
    "src/towrope/control/cluster_selection.py",
    "src/towrope/control/credentials.py",
    "src/towrope/control/custom_roles.py",
    "src/towrope/control/filling.py",
    "src/towrope/control/held_roles.py",
    "src/towrope/control/operation_results.py",
    "src/towrope/control/passwords.py",
    "src/towrope/control/permissions.py",
    "src/towrope/control/policy.py",
    "src/towrope/control/policy_changes.py",
    "src/towrope/control/principal.py",
    "src/towrope/control/readable_clusters.py",
    "src/towrope/control/role_assignments.py",
    "src/towrope/control/role_definitions.py",
    "src/towrope/control/role_ids.py",
    "src/towrope/control/scope_routes.py",
    "src/towrope/control/subscriptions.py",
    "src/towrope/control/throttle.py",
    "src/towrope/control/issuer/",
    "src/towrope/control/roles/",
    "src/towrope/control/web/",
)
"""Packages and modules that decide access, or that such a decision rests on."""
BAR = 90.0


def main() -> int:
    report = Path(".coverage.json")
    subprocess.run([sys.executable, "-m", "coverage", "json", "-q", "-o", str(report)], check=True)
    measured = json.loads(report.read_text())
    report.unlink()
    failures = []
    for name, file in sorted(measured["files"].items()):
        percent = file["summary"]["percent_covered"]
        if name.startswith(EVERYTHING) and percent < 100.0:
            failures.append(f"{name}: {percent:.1f} %, must be 100 %: {file['missing_lines']}")
    total = measured["totals"]["percent_covered"]
    if total < BAR:
        failures.append(f"in all: {total:.1f} %, must be {BAR:g} %")
    print(f"branch coverage: {total:.1f} %")
    for failure in failures:
        print("coverage:", failure)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
