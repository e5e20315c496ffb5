"""The seams: what may import what. A pure file decides; it opens no socket, starts no process, asks no clock."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src"
PURE = """
api.facts api.kinds api.quantities api.selectors api.tree client.reflector client.responses services.resolve services.topology
proxy.plan proxy.table proxy.ledger proxy.flows proxy.trace proxy.configuration proxy.configfile proxy.events proxy.kept proxy.nftables.layout proxy.nftables.affinity
proxy.nftables.elements proxy.iptables.names proxy.iptables.rules proxy.iptables.render
proxy.ebpf.layout proxy.ebpf.entries proxy.ebpf.elf proxy.ipvs.servers proxy.ipvs.sets proxy.ipvs.rules proxy.userspace.translate proxy.userspace.choice proxy.nftables.render proxy.nftables.listing dns.wire dns.answer dns.relayed dns.table dns.tally dns.link dns.measures dns.access dns.zone.rows dns.zone.store dns.zone.lookup dns.zone.outline
dns.resolving.blocks dns.resolving.course dns.resolving.plugins dns.resolving.engine dns.resolving.counting dns.upstreams.health dns.upstreams.exchange dns.upstreams.resolvconf dns.settings dns.patterns dns.patternsyntax
dns.presentation dns.rewriting dns.hostsfile dns.querylog
dns.corefile.answering dns.corefile.blocks dns.corefile.cache dns.corefile.description dns.corefile.forward dns.corefile.kubernetes
dns.corefile.lines dns.corefile.listening dns.corefile.outside dns.corefile.plugins dns.corefile.problems dns.corefile.quantities
dns.corefile.reading dns.corefile.rewrite dns.corefile.scope dns.corefile.serving dns.corefile.telling dns.corefile.tokens
dns.corefile.upstreams dns.corefile.zones cluster.config cluster.configfile cluster.layout cluster.scheduler.fit
cluster.scheduler.snapshot cluster.scheduler.resources cluster.scheduler.interpod cluster.scheduler.spread
cluster.scheduler.filters cluster.scheduler.scores cluster.scheduler.preemption cluster.scheduler.decide cluster.scheduler.claims
cluster.scheduler.queue cluster.workloads.nodehealth cluster.node.nodestatus cluster.node.grpcprobe cluster.node.hpack protowire
cluster.node.admission cluster.node.sysctls cluster.node.resolving cluster.node.hostnames cluster.relay.packets
cluster.node.lifecycle cluster.node.streaming.spdy cluster.node.streaming.channels cluster.node.images cluster.node.references cluster.node.packages
cluster.apiserver.openapi_v2 cluster.apiserver.impersonation
cluster.node.accounts cluster.node.environment cluster.apiserver.patches cluster.apiserver.strategic
cluster.apiserver.schema cluster.apiserver.protobuf cluster.apiserver.status cluster.apiserver.requests
cluster.apiserver.metadata cluster.apiserver.allocation cluster.apiserver.authz
cluster.apiserver.fields cluster.apiserver.discovery controllers.writes controllers.slicewrites
cluster.workloads.rollout cluster.workloads.progress cluster.workloads.podfacts cluster.workloads.conditions
cluster.workloads.revisions cluster.workloads.statefulplan cluster.workloads.statefulpods cluster.workloads.daemonpods
cluster.workloads.jobplan cluster.workloads.jobpolicy cluster.workloads.jobindexes cluster.cron
cluster.workloads.cronplan cluster.workloads.ownership cluster.quota
cluster.apiserver.matching cluster.apiserver.reviewing
metrics.families metrics.exposition cluster.apiserver.health cluster.apiserver.trace
cluster.apiserver.auditing.policy cluster.apiserver.auditing.events cluster.apiserver.webhooks.conversion
cluster.apiserver.webhooks.configured cluster.apiserver.webhooks.exchange cluster.apiserver.webhooks.services
envoy.xds.resources envoy.xds.messages envoy.xds.identity envoy.xds.warming envoy.xds.usage envoy.xds.blame
envoy.counting.buckets envoy.counting.questions envoy.counting.fleets
envoy.xds.subscription envoy.xds.proxy envoy.xds.session envoy.xds.fleets
""".split()
PURE_FOLDERS = (  # each file in them, whatever its name
    "api/gateway", "cluster/apiserver/rules", "cluster/apiserver/tables", "re2", "routing", "routing/gateway", "routing/ingress", "gateway/infrastructure",
)
EDGES = {"socket", "subprocess", "asyncio", "time", "aiohttp", "sqlite3", "ctypes", "os.environ", "threading"}
COMPONENTS = ("api", "client", "controllers", "services", "proxy", "dns", "pki", "metrics", "re2", "routing", "envoy", "gateway")
DOORS = {
    "cryptography": ("pki/",),
    "grpc": ("envoy/xds/",),
    "sqlite3": ("cluster/apiserver/journal.py",),
    "uvloop": ("cluster/", "proxy/run.py", "dns/serving/", "gateway/run.py"),
    "aiohttp": ("client/rest.py", "cluster/apiserver/", "cluster/node/kubelet.py", "cluster/node/streaming/", "cluster/takeover.py",
                "proxy/health.py"),
    "yaml": ("client/kubeconfig.py", "cluster/apiserver/bod", "cluster/apiserver/bootstrap.py", "cluster/keys.py", "cli/",
             "proxy/flags.py", "gateway/infrastructure/parameters.py"),
}


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def files() -> list[Path]:
    return sorted((SOURCE / "seaway").rglob("*.py"))


def pure_files() -> list[str]:
    folders = [p for folder in PURE_FOLDERS for p in sorted((SOURCE / "seaway" / folder).glob("*.py"))]
    return [n.replace(".", "/") + ".py" for n in PURE] + [str(p.relative_to(SOURCE / "seaway")) for p in folders]


@pytest.mark.parametrize("name", pure_files())
def test_a_pure_file_touches_no_edge(name: str) -> None:
    path = SOURCE / "seaway" / name
    touched = {i.partition(".")[0] for i in imports(path)} & EDGES
    assert not touched, f"{name} imports {touched}"


@pytest.mark.parametrize("component", COMPONENTS)
def test_components_do_not_know_the_embedded_cluster(component: str) -> None:
    for path in sorted((SOURCE / "seaway" / component).rglob("*.py")):
        known = [i for i in imports(path) if (i + ".").startswith(("seaway.cluster.", "seaway.cli."))]
        assert not known, f"{path.relative_to(SOURCE)} imports {known}"


@pytest.mark.parametrize("library", DOORS)
def test_a_library_has_its_doors_and_no_others(library: str) -> None:
    for path in files():
        if any(i.partition(".")[0] == library for i in imports(path)):
            relative = str(path.relative_to(SOURCE / "seaway"))
            assert relative.startswith(DOORS[library]), f"{relative} imports {library}"


def test_files_say_what_they_hold_and_stay_readable() -> None:
    for path in files():
        lines = path.read_text().splitlines()
        assert not lines or lines[0].startswith('"""'), f"{path.name} does not say what it holds"
        assert len(lines) <= 600, f"{path.name} has {len(lines)} lines: split it by meaning"


def test_no_two_test_files_share_a_name() -> None:
    """pytest imports them by name: of two it would run one."""
    names = [p.name for p in Path(__file__).parent.rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))
