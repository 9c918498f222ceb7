-- Holds a request back: exponentially distributed around so many milliseconds, at most ten times as long.
core.register_action("wait", { "http-req" }, function(_, mean)
    core.msleep(math.floor(math.min(-math.log(1 - math.random()), 10) * mean + 0.5))
end, 1)
