"""Two small scripts inside the proxy, for the requests whose scope is not the one of their host as it was sent.

Requests to a known host in lower case run neither: a scope switches both off. A script sees a newly chosen route once, when
it asks for its metadata; that is why there are two.
"""

from __future__ import annotations

from seaway.envoy.translation.names import FALLBACK_FILTER, HOST_HEADER, TABLE_HEADER

# No scope has the host: perhaps it has capital letters; otherwise the fallback says what happens.
# A redirect there needs the host without the port that the client wrote.
FALLBACK = f"""
function envoy_on_request(handle)
  if handle:streamInfo():routeName() ~= "" then return end
  local headers = handle:headers()
  local host = headers:get("{HOST_HEADER}") or ""
  local lower = string.lower(host)
  if lower ~= host then
    headers:replace("{HOST_HEADER}", lower)
    handle:clearRouteCache()
    handle:metadata()
    if handle:streamInfo():routeName() ~= "" then return end
  end
  handle:streamInfo():dynamicMetadata():set("{FALLBACK_FILTER}", "host", host:match("^(.*):%d+$") or host)
  headers:replace("{HOST_HEADER}", "*")
  headers:replace("{TABLE_HEADER}", headers:get("{TABLE_HEADER}") .. "*")
  handle:clearRouteCache()
end
"""

# The scope is one of shards: which, the first segments of the path say. `shards.shard_of` reckons the same. What has no route
# even now is answered at once: filters that come would wait for its body.
SHARD = f"""
function envoy_on_request(handle)
  local metadata = handle:metadata()
  local count = metadata:get("shards")
  if count == nil then
    if handle:streamInfo():routeName() == "" then handle:respond({{[":status"] = "404"}}, "") end
    return
  end
  local depth = metadata:get("depth")
  local deep = string.format("%d", depth)
  local headers = handle:headers()
  local path = headers:get(":path")
  local hash = 5381
  for i = 2, #path do
    local c = string.byte(path, i)
    if c == 63 or c == 35 then break end
    if c == 47 then
      depth = depth - 1
      if depth == 0 then break end
    end
    hash = (hash * 33 + c) % 4294967296
  end
  headers:replace("{TABLE_HEADER}", headers:get("{TABLE_HEADER}") .. "#" .. deep .. "." .. (hash % count))
  handle:clearRouteCache()
end
"""
