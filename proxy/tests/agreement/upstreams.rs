//! What may stand in an upstream.

use super::Hole;

pub(super) const HOLES: &[Hole] = &[
    (
        "upstreams: { a: { servers: [ 'a:1' ], retry: { backoff: { max: @ } } } }",
        &["0s", "10s"],
        &["11s", "1h"],
    ),
    (
        "upstreams: { a: { servers: [ 'a:1' ], hedge: { after: @ } } }",
        &["50ms", "1s", "p50", "p95", "p99.9", "' p90.5 '"],
        &["0s", "p49", "p100", "p9", "p99.99", "95%", "95", "p"],
    ),
    (
        "upstreams: { a: { discover: { http: { url: @ } } } }",
        &[
            "http://registry:8500/servers?of=api",
            "HTTP://a",
            "'http://[::1]/'",
        ],
        &[
            "https://a",
            "a:80/servers",
            "http://",
            "http://me:it@a/",
            "'http://a/#b'",
            "''",
        ],
    ),
    (
        "upstreams: { a: { discover: { dns: @ } } }",
        &["{ name: a, port: 1 }", "{ srv: a, refresh: 1s }"],
        &[
            "{ name: a }",
            "{ srv: a, port: 1 }",
            "{ name: a, port: 1, srv: b }",
            "{}",
            "{ name: a, port: 0 }",
        ],
    ),
    (
        "upstreams: { a: { discover: { dns: { srv: a, refresh: @ } } } }",
        &["1s", "1000ms", "1h"],
        &["999ms", "1ms", "0s"],
    ),
    (
        "upstreams: { a: { servers: [ 'a:1' ], dns_refresh: @ } }",
        &["1s", "1000ms", "1h", "0h1s"],
        &["999ms", "0s", "0m0999ms"],
    ),
    (
        "upstreams: { a: { servers: [ 'a:1' ], health_check: { tcp: { interval: @ } } } }",
        &["50ms", "050ms", "1s", "1m5ms"],
        &["49ms", "0s", "5"],
    ),
    (
        "upstreams: { a: { servers: [ 'a:1' ], health_check: { http: { interval: @ } } } }",
        &["50ms", "1s"],
        &["49ms", "0s"],
    ),
    (
        "upstreams: { a: { servers: [ 'a:1' ], health_check: { http: { timeout: @ } } } }",
        &["1ms", "1s"],
        &["0ms", "0s"],
    ),
    (
        "upstreams: { a: { servers: [ 'a:1' ], health_check: { http: { statuses: [ @ ] } } } }",
        &["200", "200-299", "599"],
        &["99", "600", "2xx", "200-"],
    ),
    (
        "upstreams: { a: { servers: [ 'a:1' ], health_check: { http: { statuses: @ } } } }",
        &["[ 200 ]"],
        &["[]"],
    ),
    (
        "upstreams: { a: { servers: [ 'a:1' ], health_check: { http: { method: @ } } } }",
        &["GET", "POST"],
        &["get", "PUT"],
    ),
    (
        "upstreams: { a: { servers: [ 'a:1' ], health_check: { http: { body: @ } } } }",
        &["{ contains: a }", "{ regex: a }"],
        &[
            "a",
            "{}",
            "{ contains: '' }",
            "{ contains: a, regex: a }",
            "{ prefix: a }",
        ],
    ),
    (
        "upstreams: { a: { servers: [ 'a:1' ], health_check: { http: { headers: { a: b }, down_interval: @ } } } }",
        &["50ms", "1h"],
        &["49ms", "0s"],
    ),
    (
        "upstreams: { a: { servers: [ 'a:1' ], health_check: { grpc: { port: @ } } } }",
        &["1", "65535"],
        &["0", "65536", "-1"],
    ),
    (
        "upstreams: { a: { discover: { docker: { label: @ } } } }",
        &["a", "a.b=c", "a=", "a=b=c"],
        &["''", "=a", "' a'", "a b", "[ a ]"],
    ),
    (
        "upstreams: { a: { discover: { docker: { label: a, endpoint: @ } } } }",
        &[
            "unix:///run/docker.sock",
            "tcp://a:2375",
            "'tcp://[::1]:2375'",
        ],
        &[
            "/run/docker.sock",
            "unix://docker.sock",
            "ssh://a",
            "a:2375",
            "''",
        ],
    ),
    (
        "upstreams: { a: { discover: { docker: { label: a, port: @ } } } }",
        &["1", "65535"],
        &["0", "65536", "-1", "http"],
    ),
    (
        "upstreams: { a: { discover: { docker: { label: a, refresh: @ } } } }",
        &["1s", "1h"],
        &["999ms", "0s", "5"],
    ),
    (
        "upstreams: { a: { discover: { etcd: { endpoints: @, prefix: /a/ } } } }",
        &["[ 'http://a:2379' ]", "[ 'a:2379', 'http://[::1]:2379/' ]"],
        &[
            "[]",
            "[ 'https://a:2379' ]",
            "[ a ]",
            "[ 'http://a' ]",
            "[ 'http://a:2379/v3' ]",
        ],
    ),
    (
        "upstreams: { a: { discover: { etcd: { endpoints: [ 'a:1' ], prefix: @ } } } }",
        &["/a/", "a"],
        &["''", "[ a ]"],
    ),
    (
        "upstreams: { a: { discover: { etcd: { endpoints: [ 'a:1' ], prefix: a, refresh: @ } } } }",
        &["1s", "1h"],
        &["999ms", "0s"],
    ),
    (
        "upstreams: { a: { servers: [ 'a:1' ], outlier_ejection: @ } }",
        &[
            "true",
            "false",
            "{}",
            "{ time: 100ms }",
            "{ latency: true }",
        ],
        &[
            "usual",
            "1",
            "[]",
            "{ time: 99ms }",
            "{ tim: 1s }",
            "{ max_ejected: 0% }",
        ],
    ),
    (
        "upstreams: { a: { servers: [ 'a:1' ], outlier_ejection: { consecutive_failures: @ } } }",
        &["1", "1000"],
        &["0", "1001", "-1", "5s"],
    ),
    (
        "upstreams: { a: { servers: [ 'a:1' ], outlier_ejection: { error_rate: { over: @ } } } }",
        &["1s", "10m"],
        &["999ms", "11m"],
    ),
    (
        "upstreams: { a: { servers: [ 'a:1' ], outlier_ejection: { latency: { at_least: @ } } } }",
        &["0s", "10m"],
        &["11m", "20"],
    ),
    (
        "upstreams: { a: { servers: [ @ ] } }",
        &[
            "'a:1'",
            "'a:65535'",
            "'a:0080'",
            "'127.0.0.1:80'",
            "'[::1]:80'",
            "'a_b.c-d.:80'",
            "'1a:80'",
        ],
        &[
            "'a:0'",
            "'a:65536'",
            "'a:99999'",
            "'a:'",
            "'a'",
            "'256.0.0.1:80'",
            "'1.2.3:80'",
            "'-a:80'",
            "'a-:80'",
            "'a..b:80'",
            "'::1:80'",
            "'a:80:80'",
            "5252",
            "''",
        ],
    ),
    (
        "upstreams: { a: { servers: @ } }",
        &["[ 'a:1' ]"],
        &["[]", "{}"],
    ),
];
