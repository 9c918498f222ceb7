-- What wrk sends, from the environment, and its summary in one line that a program reads.
local method, size = os.getenv("LAB_METHOD") or "GET", tonumber(os.getenv("LAB_BODY") or "0")
local paths = {}
for path in (os.getenv("LAB_PATHS") or ""):gmatch("%S+") do paths[#paths + 1] = path end
local requests, turn = {}, 0

function init(args)
    wrk.method = method
    if size > 0 then wrk.body = string.rep("tidegate", size / 8) end
    for index, path in ipairs(paths) do requests[index] = wrk.format(nil, path) end
    if #requests > 1 then
        request = function()
            turn = turn % #requests + 1
            return requests[turn]
        end
    end
end

function done(summary, latency, requests)
    local e = summary.errors
    io.write(string.format(
        'LAB {"requests":%d,"seconds":%.6f,"bytes":%d,"connect":%d,"read":%d,"write":%d,"timeout":%d,"status":%d,"p50":%.3f,"p99":%.3f,"p999":%.3f,"max":%.3f}\n',
        summary.requests, summary.duration / 1e6, summary.bytes, e.connect, e.read, e.write, e.timeout, e.status,
        latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency:percentile(99.9) / 1e3, latency.max / 1e3))
end
