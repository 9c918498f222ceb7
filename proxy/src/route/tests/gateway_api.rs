//! Cases of the conformance tests of the Kubernetes Gateway API (`conformance/tests` in kubernetes-sigs/gateway-api), by the
//! names they have there.

use http::Method;

use super::*;

/// `HTTPRouteMatching`: conformance/tests/httproute-matching of the Kubernetes Gateway API.
#[test]
fn gateway_api_path_and_header() {
    check(
        vec![
            vec![
                one(prefix("/"), vec![]),
                one(PathCondition::Any, vec![header("version", "one")]),
            ],
            vec![
                one(prefix("/v2"), vec![]),
                one(PathCondition::Any, vec![header("version", "two")]),
            ],
        ],
        &[
            ("/", &[], Some(0)),
            ("/example", &[], Some(0)),
            ("/", &[("version", "one")], Some(0)),
            ("/v2", &[], Some(1)),
            ("/v2/example", &[], Some(1)),
            ("/", &[("version", "two")], Some(1)),
            ("/v2example", &[], Some(0)),
        ],
    );
}

/// `HTTPRoutePathMatchOrder`: conformance/tests/httproute-path-match-order.
#[test]
fn gateway_api_path_order() {
    check(
        vec![
            vec![one(path("/match/exact/one"), vec![])],
            vec![one(path("/match/exact"), vec![])],
            vec![one(path("/match"), vec![])],
            vec![one(prefix("/match/prefix/one"), vec![])],
            vec![one(prefix("/match/prefix/"), vec![])],
            vec![one(prefix("/match"), vec![])],
        ],
        &[
            ("/match/exact/one", &[], Some(0)),
            ("/match/exact", &[], Some(1)),
            ("/match", &[], Some(2)),
            ("/match/prefix/one/any", &[], Some(3)),
            ("/match/prefix/any", &[], Some(4)),
            ("/match/any", &[], Some(5)),
        ],
    );
}

/// `HTTPRouteHeaderMatching`: conformance/tests/httproute-header-matching. Where two of its rules are equal, the first one
/// written wins there; here the name decides.
#[test]
fn gateway_api_headers() {
    let any = |conditions| one(PathCondition::Any, conditions);
    let colour = |value| any(vec![header("color", value)]);
    check(
        vec![
            vec![any(vec![header("version", "one")])],
            vec![any(vec![header("version", "two")])],
            vec![any(vec![
                header("version", "two"),
                header("color", "orange"),
            ])],
            vec![colour("blue"), colour("green")],
            vec![colour("red"), colour("yellow")],
        ],
        &[
            ("/", &[("version", "one")], Some(0)),
            ("/", &[("version", "two")], Some(1)),
            ("/", &[("version", "two"), ("color", "orange")], Some(2)),
            ("/", &[("version", "two"), ("color", "blue")], Some(1)),
            ("/", &[("color", "orange")], None),
            ("/", &[("some-other-header", "one")], None),
            ("/", &[("color", "blue")], Some(3)),
            ("/", &[("color", "green")], Some(3)),
            ("/", &[("color", "red")], Some(4)),
            ("/", &[("color", "yellow")], Some(4)),
            ("/", &[("color", "purple")], None),
        ],
    );
}

/// `HTTPRouteMethodMatching`: conformance/tests/httproute-method-matching.
#[test]
fn gateway_api_methods() {
    let method = |method: Method| Condition::Method(vec![method]);
    let any = |conditions| one(PathCondition::Any, conditions);
    check(
        vec![
            vec![any(vec![method(Method::POST)])],
            vec![any(vec![method(Method::GET)])],
            vec![one(prefix("/path1"), vec![method(Method::GET)])],
            vec![any(vec![method(Method::PUT), header("version", "one")])],
            vec![one(
                prefix("/path2"),
                vec![method(Method::POST), header("version", "two")],
            )],
            vec![
                one(prefix("/path3"), vec![method(Method::PATCH)]),
                one(
                    prefix("/path4"),
                    vec![method(Method::DELETE), header("version", "three")],
                ),
            ],
            vec![one(prefix("/path5"), vec![])],
            vec![any(vec![method(Method::PATCH)])],
            vec![any(vec![header("version", "four")])],
        ],
        &[
            ("POST /", &[], Some(0)),
            ("GET /", &[], Some(1)),
            ("HEAD /", &[], None),
            ("GET /path1", &[], Some(2)),
            ("PUT /", &[("version", "one")], Some(3)),
            ("POST /path2", &[("version", "two")], Some(4)),
            ("PATCH /path3", &[], Some(5)),
            ("DELETE /path4", &[("version", "three")], Some(5)),
            ("PUT /", &[], None),
            ("DELETE /path4", &[], None),
            ("PATCH /path5", &[], Some(6)),
            ("PATCH /", &[("version", "four")], Some(7)),
        ],
    );
}

/// `HTTPRouteQueryParamMatching`: conformance/tests/httproute-query-param-matching.
#[test]
fn gateway_api_queries() {
    let any = |conditions| one(PathCondition::Any, conditions);
    check(
        vec![
            vec![any(vec![query("animal", "whale")])],
            vec![any(vec![query("animal", "dolphin")])],
            vec![
                any(vec![query("animal", "dolphin"), query("color", "blue")]),
                any(vec![query("ANIMAL", "Whale")]),
            ],
            vec![one(prefix("/path1"), vec![query("animal", "whale")])],
            vec![any(vec![
                query("animal", "whale"),
                header("version", "one"),
            ])],
            vec![one(prefix("/path5"), vec![])],
            vec![any(vec![query("animal", "hydra")])],
            vec![any(vec![header("version", "four")])],
        ],
        &[
            ("/?animal=whale", &[], Some(0)),
            ("/?animal=dolphin", &[], Some(1)),
            ("/?animal=dolphin&color=blue", &[], Some(2)),
            ("/?ANIMAL=Whale", &[], Some(2)),
            ("/?animal=whale&otherparam=irrelevant", &[], Some(0)),
            ("/?animal=dolphin&color=yellow", &[], Some(1)),
            ("/?color=blue", &[], None),
            ("/?animal=dog", &[], None),
            ("/?animal=whaledolphin", &[], None),
            ("/", &[], None),
            ("/path1?animal=whale", &[], Some(3)),
            ("/?animal=whale", &[("version", "one")], Some(4)),
            ("/path5?animal=hydra", &[], Some(5)),
            ("/?animal=hydra", &[("version", "four")], Some(7)),
        ],
    );
}
