-- What wrk sends, and its summary in one line that a program reads. Arguments: the method, the size of the body, and a
-- file with one path a line if there are several.
local requests, turn = {}, 0

function init(args)
    local size = tonumber(args[2])
    wrk.method = args[1]
    if size > 0 then wrk.body = string.rep("tidegate", size / 8) end
    if args[3] then
        for path in io.lines(args[3]) do requests[#requests + 1] = wrk.format(nil, path) end
    end
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
        'LAB {"requests":%d,"seconds":%.6f,"connect":%d,"read":%d,"write":%d,"timeout":%d,"status":%d,"p50":%.3f,"p99":%.3f,"p999":%.3f,"max":%.3f}\n',
        summary.requests, summary.duration / 1e6, e.connect, e.read, e.write, e.timeout, e.status,
        latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency:percentile(99.9) / 1e3, latency.max / 1e3))
end
