"""What a client of the discovery server gets, as a program: `xds_attacker.py ADDRESS PORT QUESTION`, this JSON: {"ca", "clients":
{NAME: {"certificate", "key"} or null}, "names": resources to ask for}.

Prints one JSON object: NAME -> what came: "no connection", a gRPC status' name, or the names of resources of any type.
"""

from __future__ import annotations

import json
import sys

import grpc

from seaway.envoy import messages

ADS = "/envoy.service.discovery.v3.AggregatedDiscoveryService/"
TYPES = ("envoy.config.cluster.v3.Cluster", "envoy.config.listener.v3.Listener", "envoy.config.route.v3.ScopedRouteConfiguration",
         "envoy.extensions.transport_sockets.tls.v3.Secret", "envoy.config.endpoint.v3.ClusterLoadAssignment")


def main() -> int:
    address, port = sys.argv[1:3]
    told = json.loads(sys.argv[3])
    names = [("grpc.ssl_target_name_override", "seaway-gateway.seaway-system.svc")]
    found = {}
    for name, pair in told["clients"].items():
        key, chain = (pair["key"].encode(), pair["certificate"].encode()) if pair else (None, None)
        credentials = grpc.ssl_channel_credentials(told["ca"].encode(), key, chain)
        with grpc.secure_channel(f"{address}:{port}", credentials, names) as channel:
            found[name] = asked(channel, told.get("names", []))
    with grpc.insecure_channel(f"{address}:{port}") as channel:
        found["plaintext"] = asked(channel, [])
    print(json.dumps(found))
    return 0


def asked(channel: grpc.Channel, names: list[str]) -> str | list[str]:
    """Asks for everything of every type, on one stream, as somebody else."""
    requests = []
    for kind in TYPES:
        wildcard = kind.endswith(("Cluster", "Listener"))
        request = messages.DeltaDiscoveryRequest(type_url=f"type.googleapis.com/{kind}", resource_names_subscribe=[] if wildcard else ["*", *names])
        request.node.id = "victim/victim-0"
        requests.append(request)
    method = channel.stream_stream(ADS + "DeltaAggregatedResources", request_serializer=messages.DeltaDiscoveryRequest.SerializeToString,
                                   response_deserializer=messages.DeltaDiscoveryResponse.FromString)
    got: set[str] = set()
    try:
        for response in method(iter(requests), timeout=3):
            got |= {r.name for r in response.resources}
    except grpc.RpcError as e:
        if e.code() is grpc.StatusCode.UNAVAILABLE:
            return "no connection"
        if e.code() is not grpc.StatusCode.DEADLINE_EXCEEDED or not got:
            return str(e.code().name)
    return sorted(got)


if __name__ == "__main__":
    sys.exit(main())
