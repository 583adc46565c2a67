-- Posts rows of a file at random, and counts the answers by status and by the version that gave them. In turn, a router
-- that takes turns too would send the same rows to the same version each time.
-- Arguments: the file, a body a line; milliseconds between two requests of a connection.
local bodies, threads = {}, {}
local pause = 0

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  for line in io.lines(args[1]) do bodies[#bodies + 1] = line end
  pause = tonumber(args[2])
  math.randomseed(1)
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  counts = ""
  seen = {}
end

function delay()
  return pause
end

function request()
  return wrk.format(nil, nil, nil, bodies[math.random(#bodies)])
end

function response(status, headers, body)
  local version = body:match('"model_version":"([^"]*)"') or "-"
  local key = status .. " " .. version
  seen[key] = (seen[key] or 0) + 1
  counts = ""
  for name, count in pairs(seen) do counts = counts .. name .. " " .. count .. ";" end
end

function done(summary, latency, requests)
  local errors = summary.errors
  for _, thread in ipairs(threads) do print("COUNTS " .. thread:get("counts")) end
  print("SOCKETS " .. errors.connect + errors.read + errors.write + errors.timeout)
end
