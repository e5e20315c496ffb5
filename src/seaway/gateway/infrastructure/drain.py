"""The end of an Envoy without a lost request, in Envoy's own configuration: no shell, no sidecar.

The kubelet's preStop asks /drain, and the answer comes when the Envoy may end. Meanwhile it is not ready, answers what
comes, and asks its clients to go: HTTP/1.1 by `Connection: close`, HTTP/2 by GOAWAY. New connections are still served:
endpoints and load balancers take their time (KEP-1669). It may end when nobody is connected any more, but not before
`least` seconds have passed, and at the latest after `most`.
"""

from __future__ import annotations

DRAIN = "drain"
HEADER = "x-seaway-drain"

# `pause` answers after a second; braces are str.format's.
SCRIPT = """\
local function ask(handle, cluster, method, path)
  return handle:httpCall(cluster, {{[":method"] = method, [":path"] = path, [":authority"] = cluster}}, "", 5000)
end

-- Connections that are still open: of every listener but the probes' own.
local function open(handle)
  local _, body = ask(handle, "admin", "GET", "/stats?filter=^listener%5C..*downstream_cx_active$")
  local count = 0
  for name, value in string.gmatch(body or "", "listener%.(%S+)%.downstream_cx_active: (%d+)") do
    if name ~= "probes" and name ~= "pause" and name ~= "admin" and name ~= "admin.main_thread" then
      count = count + tonumber(value)
    end
  end
  return count
end

function envoy_on_request(handle)
  ask(handle, "admin", "POST", "/healthcheck/fail")
  ask(handle, "admin", "POST", "/drain_listeners?graceful&skip_exit")
  for second = 1, {most} do
    ask(handle, "pause", "GET", "/")
    if second >= {least} and open(handle) == 0 then break end
  end
  handle:respond({{[":status"] = "200"}}, "drained\\n")
end
"""
