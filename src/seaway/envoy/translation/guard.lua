-- Who may pass: passwords (RFC 7617), API keys, and asking a Service about a request.
--
-- One script for every route; what a route wants stands in its filter context, flat, so that of a thousand users one is looked at.
-- It only says that a request may pass; that nothing passes unsaid is the next filter's to see to (security.gate). Whatever goes
-- wrong in here, a request that should have been asked for something does not go on.

local bit = require("bit")
local band, bor, bxor, bnot, rol, rshift, tobit = bit.band, bit.bor, bit.bxor, bit.bnot, bit.rol, bit.rshift, bit.tobit
local byte, char, sub, rep = string.byte, string.char, string.sub, string.rep

-- Hashes of htpasswd files

local function padded(text, little)
  local low, high = #text * 8, 0
  local count = {}
  for i = 1, 4 do
    count[i] = char(band(rshift(low, 8 * (i - 1)), 255))
  end
  local tail = table.concat(count)
  if little then
    tail = tail .. rep("\0", 4)
  else
    tail = rep("\0", 4) .. tail:reverse()
  end
  return text .. "\128" .. rep("\0", (55 - #text) % 64) .. tail
end

local function words(text, at, little)
  local found = {}
  for i = 0, 15 do
    local a, b, c, d = byte(text, at + i * 4, at + i * 4 + 3)
    if little then
      a, b, c, d = d, c, b, a
    end
    found[i] = bor(a * 16777216, b * 65536, c * 256, d)
  end
  return found
end

local function bytes(word, little)
  local a, b, c, d = band(rshift(word, 24), 255), band(rshift(word, 16), 255), band(rshift(word, 8), 255), band(word, 255)
  if little then
    return char(d, c, b, a)
  end
  return char(a, b, c, d)
end

-- RFC 3174
local function sha1(text)
  local h0, h1, h2, h3, h4 = 0x67452301, tobit(0xEFCDAB89), tobit(0x98BADCFE), 0x10325476, tobit(0xC3D2E1F0)
  text = padded(text, false)
  for at = 1, #text, 64 do
    local w = words(text, at, false)
    for i = 16, 79 do
      w[i] = rol(bxor(w[i - 3], w[i - 8], w[i - 14], w[i - 16]), 1)
    end
    local a, b, c, d, e = h0, h1, h2, h3, h4
    for i = 0, 79 do
      local f, k
      if i < 20 then
        f, k = bor(band(b, c), band(bnot(b), d)), 0x5A827999
      elseif i < 40 then
        f, k = bxor(b, c, d), 0x6ED9EBA1
      elseif i < 60 then
        f, k = bor(band(b, c), band(b, d), band(c, d)), 0x8F1BBCDC
      else
        f, k = bxor(b, c, d), 0xCA62C1D6
      end
      a, b, c, d, e = tobit(rol(a, 5) + f + e + tobit(k) + w[i]), a, rol(b, 30), c, d
    end
    h0, h1, h2, h3, h4 = tobit(h0 + a), tobit(h1 + b), tobit(h2 + c), tobit(h3 + d), tobit(h4 + e)
  end
  return bytes(h0) .. bytes(h1) .. bytes(h2) .. bytes(h3) .. bytes(h4)
end

-- RFC 1321
local SHIFTS = { { 7, 12, 17, 22 }, { 5, 9, 14, 20 }, { 4, 11, 16, 23 }, { 6, 10, 15, 21 } }
local SINES = {}
for i = 0, 63 do
  SINES[i] = tobit(math.floor(math.abs(math.sin(i + 1)) * 4294967296))
end

local function md5(text)
  local h0, h1, h2, h3 = 0x67452301, tobit(0xEFCDAB89), tobit(0x98BADCFE), 0x10325476
  text = padded(text, true)
  for at = 1, #text, 64 do
    local w = words(text, at, true)
    local a, b, c, d = h0, h1, h2, h3
    for i = 0, 63 do
      local f, g
      local turn = rshift(i, 4)
      if turn == 0 then
        f, g = bor(band(b, c), band(bnot(b), d)), i
      elseif turn == 1 then
        f, g = bor(band(d, b), band(bnot(d), c)), (5 * i + 1) % 16
      elseif turn == 2 then
        f, g = bxor(b, c, d), (3 * i + 5) % 16
      else
        f, g = bxor(c, bor(b, bnot(d))), (7 * i) % 16
      end
      local sum = tobit(a + f + SINES[i] + w[g])
      a, d, c, b = d, c, b, tobit(b + rol(sum, SHIFTS[turn + 1][i % 4 + 1]))
    end
    h0, h1, h2, h3 = tobit(h0 + a), tobit(h1 + b), tobit(h2 + c), tobit(h3 + d)
  end
  return bytes(h0, true) .. bytes(h1, true) .. bytes(h2, true) .. bytes(h3, true)
end

local LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
local CRYPT = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
local VALUES = {}
for i = 1, 64 do
  VALUES[byte(LETTERS, i)] = i - 1
end

-- The bytes of base64 (RFC 4648 4), nil for what is none.
local function unbase64(text)
  if #text % 4 ~= 0 then
    return nil
  end
  local body, marks = text:match("^([^=]*)(=?=?)$")
  if body == nil then
    return nil
  end
  local found, value, held = {}, 0, 0
  for i = 1, #body do
    local one = VALUES[byte(body, i)]
    if one == nil then
      return nil
    end
    value, held = value * 64 + one, held + 6
    if held >= 8 then
      held = held - 8
      local whole = math.floor(value / 2 ^ held)
      found[#found + 1] = char(whole)
      value = value - whole * 2 ^ held
    end
  end
  return table.concat(found)
end

-- Apache's MD5 (apr_md5.c): what htpasswd writes unless it is told otherwise.
local function apr1(password, salt)
  local final = md5(password .. salt .. password)
  local text = password .. "$apr1$" .. salt
  for left = #password, 1, -16 do
    text = text .. sub(final, 1, math.min(left, 16))
  end
  local left = #password
  while left > 0 do
    text = text .. (left % 2 == 1 and "\0" or sub(password, 1, 1))
    left = math.floor(left / 2)
  end
  final = md5(text)
  for i = 0, 999 do
    local odd = i % 2 == 1
    final = md5(
      (odd and password or final)
        .. (i % 3 ~= 0 and salt or "")
        .. (i % 7 ~= 0 and password or "")
        .. (odd and final or password)
    )
  end
  local found = {}
  local function write(value, count)
    for _ = 1, count do
      found[#found + 1] = sub(CRYPT, value % 64 + 1, value % 64 + 1)
      value = math.floor(value / 64)
    end
  end
  for i = 1, 5 do
    local a, b, c = byte(final, i), byte(final, i + 6), i == 5 and byte(final, 6) or byte(final, i + 12)
    write(a * 65536 + b * 256 + c, 4)
  end
  write(byte(final, 12), 2)
  return table.concat(found)
end

-- As long for a wrong word as for a right one.
local function same(a, b)
  if #a ~= #b then
    return false
  end
  local differs = 0
  for i = 1, #a do
    differs = bor(differs, bxor(byte(a, i), byte(b, i)))
  end
  return differs == 0
end

-- htpasswd makes no hash of a longer one (htpasswd.c), and a thousand rounds over whatever a client sends would hold others up.
local LONGEST = 255

-- What was right already: a thousand rounds are not reckoned for every request. Each worker has its own; it begins anew when full.
local RIGHT, HELD = {}, 0

local function is_right(password, hash)
  if #password > LONGEST then
    return false
  end
  local key = hash .. "\0" .. password
  if RIGHT[key] then
    return true
  end
  local right = false
  if sub(hash, 1, 5) == "{SHA}" then
    right = same(sha1(password), unbase64(sub(hash, 6)) or "")
  else
    local salt, digest = hash:match("^%$apr1%$([^$]*)%$([^$]*)$")
    right = salt ~= nil and same(apr1(password, salt), digest)
  end
  if right then
    if HELD >= 1024 then
      RIGHT, HELD = {}, 0
    end
    RIGHT[key], HELD = true, HELD + 1
  end
  return right
end

-- What a request says

local function each(list)
  return string.gmatch(list or "", "[^,]+")
end

local function unescaped(text)
  return (text:gsub("+", " "):gsub("%%(%x%x)", function(code)
    return char(tonumber(code, 16))
  end))
end

-- Without the spaces around it. One pattern for both ends would look at a long row of spaces once for each of them.
local function trimmed(text)
  local first = text:find("%S")
  return first ~= nil and text:match("^.*%S", first) or ""
end

-- The value of a header, a query parameter or a cookie; nil where there is none, false where there are several: whom a request
-- names twice a backend may take for the other.
local function said(headers, kind, name)
  if kind == "header" then
    local count = headers:getNumValues(name)
    if count > 1 then
      return false
    end
    return headers:get(name)
  end
  local found
  local function take(key, value)
    if key == name then
      if found ~= nil then
        found = false
      else
        found = value
      end
    end
  end
  if kind == "query" then
    local query = (headers:get(":path") or ""):match("%?([^#]*)")
    for part in string.gmatch(query or "", "[^&]+") do
      local key, value = part:match("^([^=]*)=?(.*)$")
      take(unescaped(key), unescaped(value))
    end
    return found
  end
  if headers:getNumValues("cookie") > 1 then
    return false
  end
  for part in string.gmatch(headers:get("cookie") or "", "[^;]+") do
    local at = part:find("=", 1, true)
    if at ~= nil then
      take(trimmed(sub(part, 1, at - 1)), trimmed(sub(part, at + 1)))
    end
  end
  return found
end

local function refuse(handle, status, text, more)
  local headers = { [":status"] = tostring(status), ["content-type"] = "text/plain" }
  for name, value in pairs(more or {}) do
    headers[name] = value
  end
  handle:respond(headers, text .. "\n")
end

-- The three ways to be known: each answers itself and says false, or says true.

local function passworded(handle, context, headers)
  local realm = context:get("realm")
  local word = said(headers, "header", "authorization")
  local scheme, encoded = (word or ""):match("^(%S+) +(%S+) *$")
  local pair = scheme ~= nil and scheme:lower() == "basic" and unbase64(encoded) or nil
  local user, password = (pair or ""):match("^([^:]*):(.*)$")
  local hash = user ~= nil and context:get("u:" .. user) or nil
  if hash == nil or not is_right(password, hash) then
    refuse(handle, 401, "a name and a password are required", { ["www-authenticate"] = 'Basic realm="' .. realm .. '", charset="UTF-8"' })
    return false
  end
  local header = context:get("user-header")
  if header ~= nil then
    headers:replace(header, user)
  end
  return true
end

local function keyed(handle, context, headers)
  local client
  for place in each(context:get("places")) do
    local kind, name = place:match("^(%a+):(.*)$")
    local key = said(headers, kind, name)
    if key == false then
      refuse(handle, 401, "one API key is required")
      return false
    end
    if key ~= nil and key ~= "" then
      client = context:get("k:" .. key)
      if client == nil then
        refuse(handle, 401, "this API key is not known")
        return false
      end
      break
    end
  end
  if client == nil then
    refuse(handle, 401, "an API key is required")
    return false
  end
  local header = context:get("client-header")
  if header ~= nil then
    headers:replace(header, client)
  end
  return true
end

local function escaped(text)
  return (text:gsub("[^%w%-._~]", function(c)
    return string.format("%%%02X", byte(c))
  end))
end

-- Of one connection, or of a body that is not sent along (RFC 9110 7.6.1).
local NOT_ALONG = {}
for name in each("connection,keep-alive,proxy-connection,te,trailer,transfer-encoding,upgrade,content-length,expect,host") do
  NOT_ALONG[name] = true
end

-- All headers of a request, but for those that belong to this proxy alone.
local function all(headers)
  local found = {}
  for name, value in pairs(headers) do
    if sub(name, 1, 1) ~= ":" and sub(name, 1, 9) ~= "x-seaway-" and not NOT_ALONG[name] then
      local before = found[name]
      if before == nil then
        found[name] = value
      elseif type(before) == "table" then
        before[#before + 1] = value
      else
        found[name] = { before, value }
      end
    end
  end
  return found
end

-- Those of a request that are named, but for what frames its body, which is not sent along.
local function some(headers, names)
  local found = {}
  for name in each(names) do
    local count = NOT_ALONG[name] and 0 or headers:getNumValues(name)
    if count == 1 then
      found[name] = headers:get(name)
    elseif count > 1 then
      found[name] = {}
      for i = 1, count do
        found[name][i] = headers:getAtIndex(name, i - 1)
      end
    end
  end
  return found
end

local function asked(handle, context, headers)
  local scheme, host, path = headers:get(":scheme") or "http", headers:get(":authority") or "", headers:get(":path") or "/"
  local method, url = headers:get(":method"), scheme .. "://" .. host .. path
  local as_nginx = context:get("ask-path") ~= nil
  local question
  if as_nginx then
    question = all(headers)
    question[":method"], question[":path"] = context:get("ask-method"), context:get("ask-path")
    question[":authority"] = context:get("ask-host")
    question["x-original-url"], question["x-original-method"], question["x-auth-request-redirect"] = url, method, path
    for name, value in pairs(context:get("ask-set") or {}) do
      question[name] = value
    end
  else
    question = some(headers, context:get("ask-in"))
    question[":method"], question[":path"], question[":authority"] = method, context:get("ask-before") .. path, host
  end
  local given, signin = context:get("ask-out"), context:get("signin")
  local answer, body = handle:httpCall(context:get("ask"), question, "", context:get("ask-timeout"))
  headers = handle:headers() -- what was at hand before is none of ours after a pause
  local status = answer ~= nil and tonumber(answer[":status"]) or 0
  if status >= 200 and status < 300 then
    for name in each(given) do
      headers:remove(name)
      if answer[name] ~= nil then
        headers:add(name, answer[name])
      end
    end
    return true
  end
  if status < 300 or status >= 500 then
    refuse(handle, 503, "who is asked about this request does not answer")
  elseif as_nginx and status == 401 and signin ~= nil then
    local join = signin:find("?", 1, true) and "&" or "?"
    local rd = signin:find("[?&]rd=") and "" or join .. "rd=" .. escaped(url)
    refuse(handle, 302, "", { location = signin .. rd })
  elseif as_nginx and (status == 401 or status == 403) then
    refuse(handle, status, "not authorized", { ["www-authenticate"] = answer["www-authenticate"] })
  elseif as_nginx then
    refuse(handle, 503, "who is asked about this request does not answer")
  else
    local told = {}
    for name, value in pairs(answer) do
      if not NOT_ALONG[name] and sub(name, 1, 8) ~= "x-envoy-" then
        told[name] = value
      end
    end
    handle:respond(told, body or "")
  end
  return false
end

function envoy_on_request(handle)
  local context = handle:filterContext()
  if context == nil or context:get("guard") == nil then
    return
  end
  local headers = handle:headers()
  -- What backends are told of who it was only this proxy says.
  for name in each(context:get("strip")) do
    headers:remove(name)
  end
  if context:get("single") ~= nil and headers:getNumValues("authorization") > 1 then
    refuse(handle, 401, "one Authorization header is required")
    return
  end
  if context:get("realm") ~= nil and not passworded(handle, context, headers) then
    return
  end
  if context:get("places") ~= nil and not keyed(handle, context, headers) then
    return
  end
  if context:get("ask") ~= nil and not asked(handle, context, headers) then
    return
  end
  handle:streamInfo():dynamicMetadata():set("seaway.guard", "passed", true)
end
