-- Posts ready bodies in turn; everything is rendered before the first request, so that a request costs a table look-up.
--
-- wrk -s bodies.lua http://127.0.0.1:3000/predict -- application/json lines FILE        one body a line
-- wrk -s bodies.lua http://127.0.0.1:3000/predict -- text/csv whole FILE FILE ...       one body a file

local requests = {}
local turn = 0

function init(args)
  local headers = { ["Content-Type"] = args[1] }
  if args[2] == "lines" then
    for line in io.lines(args[3]) do
      requests[#requests + 1] = wrk.format("POST", nil, headers, line)
    end
  else
    for i = 3, #args do
      local file = assert(io.open(args[i], "rb"))
      requests[#requests + 1] = wrk.format("POST", nil, headers, file:read("*a"))
      file:close()
    end
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

-- The figures in full: wrk's own text has two digits behind the point and three units
function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    'figures {"requests": %d, "seconds": %.6f, "p50_ms": %.3f, "p99_ms": %.3f, "not_2xx": %d, "socket_errors": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.status, errors.connect + errors.read + errors.write + errors.timeout
  ))
end
