"""The end of an Envoy without a lost request, in Envoy's own configuration: no shell, no sidecar.

The kubelet's preStop asks /drain, and the answer comes when the Envoy may end. Meanwhile it is not ready, answers what
comes, and asks its clients to go: HTTP/1.1 by `Connection: close`, HTTP/2 by GOAWAY. New connections are still served:
endpoints and load balancers take their time (KEP-1669). Not before `least` seconds have passed and at the latest after `most`
it may end: when nobody is connected any more, or when those who are have been silent for `quiet` seconds (browsers keep
connections for minutes). Streams of bytes that are passed on without a look inside are never silent.
"""

from __future__ import annotations

DRAIN = "drain"
HEADER = "x-seaway-drain"

# `pause` answers after a second; braces are str.format's.
SCRIPT = """\
local function ask(handle, cluster, method, path)
  return handle:httpCall(cluster, {{[":method"] = method, [":path"] = path, [":authority"] = cluster}}, "", 5000)
end

local own = {{probes = true, pause = true, admin = true, ["admin.main_thread"] = true}}

-- Connections that are open, those of them that are streams of bytes, requests on their way, and those there ever were.
local function look(handle)
  local _, body = ask(handle, "admin", "GET", "/stats?filter=downstream_(cx_active|rq_active|rq_total)$")
  local found = {{["listener.cx_active"] = 0, ["http.cx_active"] = 0, ["http.rq_active"] = 0, ["http.rq_total"] = 0}}
  for kind, name, what, value in string.gmatch(body or "", "(%a+)%.(%S+)%.downstream_(%a+_%a+): (%d+)") do
    local key = kind .. "." .. what
    if not own[name] and found[key] then found[key] = found[key] + tonumber(value) end
  end
  local open = found["listener.cx_active"]
  return open, open - found["http.cx_active"], found["http.rq_active"], found["http.rq_total"]
end

function envoy_on_request(handle)
  ask(handle, "admin", "POST", "/healthcheck/fail")
  ask(handle, "admin", "POST", "/drain_listeners?graceful&skip_exit")
  local before, silent = -1, 0
  for second = 1, {most} do
    ask(handle, "pause", "GET", "/")
    local open, streams, busy, total = look(handle)
    if streams > 0 or busy > 0 or total ~= before then silent = 0 else silent = silent + 1 end
    before = total
    if second >= {least} and (open == 0 or silent >= {quiet}) then break end
  end
  handle:respond({{[":status"] = "200"}}, "drained\\n")
end
"""
