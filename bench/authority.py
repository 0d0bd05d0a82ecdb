"""`python -m bench.authority`: the control plane with 5 000 clusters, 20 000 role assignments and
2 000 groups, beside one with a hundredth of that, in one run and in turns.

Both are in this process and on SQLite, without network: what is compared is their work. Compare
ratios, not milliseconds.
"""

import argparse
import asyncio
import logging
import platform
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import structlog

from bench.population import (
    ADMINISTRATOR_ID,
    FEW_ID,
    LARGE,
    READER_ID,
    SMALL,
    SUBSCRIPTION,
    Population,
    guid,
    populated,
)
from towrope.control.roles.built_in import BUILT_IN_ROLES

Work = Callable[[Population], Awaitable[None]]

CLUSTERS = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Kubernetes/connectedClusters"
VERSION = "?api-version=2025-08-01-preview"
VIEWER = next(role for role in BUILT_IN_ROLES if role.name == "Azure Arc Kubernetes Viewer")
ONE = 7
"""The cluster that is looked at."""


async def list_a_page(population: Population) -> None:
    answer = await population.client.get(
        f"{CLUSTERS}{VERSION}&$top=50", headers=population.headers(READER_ID)
    )
    assert len(answer.raise_for_status().json()["value"]) == 50


async def list_all(population: Population) -> None:
    shown = await _listed(population, READER_ID)
    assert shown == population.size.clusters


async def list_few(population: Population) -> None:
    """As somebody who may see 20 of them."""
    assert await _listed(population, FEW_ID) == 20


async def _listed(population: Population, object_id: str) -> int:
    link, headers, shown = CLUSTERS + VERSION, population.headers(object_id), 0
    while link:
        answer = await population.client.get(link, headers=headers)
        page = answer.raise_for_status().json()
        shown += len(page["value"])
        link = page.get("nextLink", "")
    return shown


async def show(population: Population) -> None:
    headers = population.headers(READER_ID)
    answer = await population.client.get(population.cluster_id(ONE) + VERSION, headers=headers)
    answer.raise_for_status()


async def show_as_member(population: Population) -> None:
    """As somebody who is in twenty groups, nested ones, and holds a role directly."""
    headers = population.headers(FEW_ID)
    answer = await population.client.get(population.cluster_id(ONE) + VERSION, headers=headers)
    answer.raise_for_status()


async def list_assignments(population: Population) -> None:
    path = f"{population.cluster_id(ONE)}/providers/Microsoft.Authorization/roleAssignments"
    path += f"{VERSION}&$filter=atScope()"
    headers = population.headers(READER_ID)
    answer = await population.client.get(path, headers=headers)
    answer.raise_for_status()


async def explain(population: Population) -> None:
    path = f"{population.cluster_id(ONE)}/providers/Towrope.Authorization/explain{VERSION}"
    question = {"principalId": FEW_ID, "verb": "get", "resource": "pods"}
    headers = population.headers(READER_ID)
    answer = await population.client.post(path, json=question, headers=headers)
    answer.raise_for_status()


async def fetch_policy(population: Population) -> None:
    told = await population.fetch_policy(ONE)
    assert told["isEnforced"]


async def change_and_fetch(population: Population) -> None:
    """An assignment at one cluster: from the request to the agent's new policy."""
    hinted = asyncio.Event()
    before = (await population.fetch_policy(ONE))["version"]
    population.on_hint = lambda _path: hinted.set()
    path = f"{population.cluster_id(ONE)}/providers/Microsoft.Authorization/roleAssignments"
    path += f"/{guid(8, 0)}{VERSION}"
    headers = population.headers(ADMINISTRATOR_ID)
    role = f"/providers/Microsoft.Authorization/roleDefinitions/{VIEWER.id}"
    properties = {"roleDefinitionId": role, "principalId": FEW_ID}
    made = await population.client.put(path, json={"properties": properties}, headers=headers)
    made.raise_for_status()
    await asyncio.wait_for(hinted.wait(), timeout=10)
    assert (await population.fetch_policy(ONE))["version"] != before
    population.on_hint = lambda _path: None
    (await population.client.delete(path, headers=headers)).raise_for_status()


async def change_at_all(population: Population) -> None:
    """An assignment at the subscription, until every agent has its hint."""
    hints: list[str | None] = []
    population.on_hint = hints.append
    path = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Authorization/roleAssignments"
    path += f"/{guid(8, 1)}{VERSION}"
    headers = population.headers(ADMINISTRATOR_ID)
    role = f"/providers/Microsoft.Authorization/roleDefinitions/{VIEWER.id}"
    properties = {"roleDefinitionId": role, "principalId": FEW_ID}
    made = await population.client.put(path, json={"properties": properties}, headers=headers)
    made.raise_for_status()
    assert len(hints) == population.size.clusters
    population.on_hint = lambda _path: None
    (await population.client.delete(path, headers=headers)).raise_for_status()


WORKS: dict[str, Work] = {
    "list, one page of 50": list_a_page,
    "list, all": list_all,
    "list, all that one may see: 20": list_few,
    "show": show,
    "show, as a member of 20 nested groups": show_as_member,
    "list the assignments at one cluster and above": list_assignments,
    "explain": explain,
    "fetch one cluster's policy": fetch_policy,
    "assign at one cluster, until its agent has it": change_and_fetch,
    "assign at the subscription, until all are hinted": change_at_all,
}


async def measured(
    work: Work, populations: Sequence[Population], *, rounds: int
) -> dict[str, float]:
    """Median milliseconds at each, in turns."""
    taken: dict[str, list[float]] = {each.size.name: [] for each in populations}
    for population in populations:
        await work(population)
    for _ in range(rounds):
        for population in populations:
            started = time.perf_counter()
            await work(population)
            taken[population.size.name].append(time.perf_counter() - started)
    return {name: statistics.median(seconds) * 1000 for name, seconds in taken.items()}


async def main(arguments: argparse.Namespace, folder: Path) -> None:
    async with (
        populated(SMALL, folder / "small") as small,
        populated(LARGE, folder / "large") as large,
    ):
        print(f"Python {platform.python_version()}, {platform.machine()}, one run.\n")
        print("| clusters, assignments, groups | small ms | large ms | large : small |")
        print("|---|---|---|---|")
        for name, work in WORKS.items():
            if arguments.only and arguments.only not in name:
                continue
            found = await measured(work, [small, large], rounds=arguments.rounds)
            ratio = found["large"] / found["small"]
            print(f"| {name} | {found['small']:.1f} | {found['large']:.1f} | {ratio:.1f} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", default="", help="a part of a line's name")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with tempfile.TemporaryDirectory(prefix="towrope-bench-") as scratch:
        asyncio.run(main(parser.parse_args(), Path(scratch)))
