//! Whole files, good and mutilated.

use super::*;

const GOOD: &str = r#"# a comment
listeners:
  web: { address: "0.0.0.0:${PORT:-8080}", protocols: [ http1, h2c ], timeouts: { header: 10s } }
  v6:
    address: '[::1]:8081'
    max_connections: ${MOST}
upstreams:
  api:
    servers: [ "api:5252", { address: "10.0.0.7:5252", weight: "${MOST}" } ]
    balance: round_robin
    health_check: { http: { path: /api/health, interval: 2s } }
    timeouts: &usual { connect: 1s, read: 1m30s }
  site:
    servers:
      - site:80
    timeouts: { <<: *usual, read: 5s }
    retry: { attempts: 1 }
    dns_refresh: 10s
routes:
  api: { match: { host: [ example.com, "*.example.com" ], path_prefix: /api }, upstream: api }
  site: { upstream: site }
limits: { header_size: 64KiB, header_count: 100, body_size: 10MiB }
admin: { address: "127.0.0.1:9901" }
shutdown: { delay: 0s, timeout: 30s }
"#;

fn most(name: &str) -> Option<String> {
    (name == "MOST").then(|| "7".to_owned())
}

fn good(text: &str) -> Loaded<()> {
    match parse("good.yaml", text, &most, None, as_written) {
        Ok(loaded) => loaded,
        Err(report) => panic!("{report}"),
    }
}

#[test]
fn a_good_file_means_what_it_says() {
    let loaded = good(GOOD);
    assert_eq!(loaded.warnings, []);
    let file = loaded.file;
    assert_eq!(file.listeners.names().collect::<Vec<_>>(), ["web", "v6"]);
    assert_eq!(
        file.listeners.get("web").unwrap().address.to_string(),
        "0.0.0.0:8080"
    );
    assert_eq!(
        file.listeners
            .get("v6")
            .unwrap()
            .max_connections
            .unwrap()
            .value,
        7
    );
    let api = file.upstreams.get("api").unwrap();
    let servers: Vec<_> = api
        .servers
        .iter()
        .map(|server| (server.address.to_string(), server.weight.value))
        .collect();
    assert_eq!(
        servers,
        [("api:5252".to_owned(), 1), ("10.0.0.7:5252".to_owned(), 7)]
    );
    assert_eq!(api.health_check.as_ref().unwrap().name.value, "http");
    let site = file.upstreams.get("site").unwrap();
    assert_eq!(site.timeouts.connect.unwrap().to_string(), "1s");
    assert_eq!(site.timeouts.read.unwrap().to_string(), "5s");
    let route = file.routes.get("api").unwrap();
    let upstream = route.upstream.as_ref().unwrap();
    assert_eq!(route.matches.host.as_ref().unwrap().iter().count(), 2);
    assert_eq!(
        loaded
            .source
            .text()
            .get(upstream.span.start..upstream.span.end),
        Some("api")
    );
}

#[test]
fn line_ends_and_byte_order_marks_change_nothing() {
    good(&GOOD.replace('\n', "\r\n"));
    good(&format!("\u{feff}{GOOD}"));
}

#[test]
fn a_value_from_the_environment_cannot_change_the_structure() {
    let environment = |_: &str| Some("x\"], evil: [\"\n- y".to_owned());
    let text = "listeners: { w: { address: '0.0.0.0:1' } }\nupstreams: { a: { servers: [ \"${X}:80\" ] } }";
    let report = parse("x", text, &environment, None, as_written).unwrap_err();
    assert_eq!(report.errors(), 1, "{report}");
}

#[test]
fn a_file_that_cannot_be_read_is_named_with_the_reason() {
    let report = load(Path::new("/nowhere/x.yaml"), as_written)
        .unwrap_err()
        .to_string();
    assert!(
        report.starts_with(
            "error[E0101]: cannot read `/nowhere/x.yaml`: No such file or directory\n"
        ),
        "{report}"
    );
    assert!(load(Path::new("/"), as_written).is_err());
}

#[test]
fn a_file_that_is_no_text_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.yaml");
    std::fs::write(&path, b"listeners: \xff\xfe\n").unwrap();
    let report = load(&path, as_written).unwrap_err().to_string();
    assert!(
        report.contains("not UTF-8") && report.contains("x.yaml:1:12"),
        "{report}"
    );
}

#[test]
fn colour_is_the_callers_choice() {
    let report = parse("x", "listeners: 5", &most, None, as_written).unwrap_err();
    assert!(!report.render(Colour::Never).contains('\u{1b}'));
    assert!(report.render(Colour::Always).contains('\u{1b}'));
}

/// Enough of them to hit most branches, few enough to run each time.
const MUTATIONS: u32 = 4000;

#[test]
fn a_mutilated_file_gives_a_file_or_a_report() {
    let spice: &[&[u8]] = &[
        b"\t",
        b"{",
        b"]",
        b"\"",
        b": ",
        b"\n",
        b"- ",
        b"&a",
        b"*a",
        b"${",
        b"\r",
        b"|",
        b"<<: ",
        b"\xc3\xa9",
        b"!x ",
        b"? ",
        b"--- ",
    ];
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    for _ in 0..MUTATIONS {
        let mut bytes = GOOD.as_bytes().to_vec();
        for _ in 0..=random.below(4) {
            let at = random.below(bytes.len());
            match random.below(3) {
                0 => drop(bytes.remove(at)),
                1 => bytes[at] = u8::try_from(random.below(256)).unwrap(),
                _ => drop(bytes.splice(at..at, spice[random.below(spice.len())].iter().copied())),
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        if let Err(report) = parse("mutilated.yaml", &text, &most, None, as_written) {
            assert!(
                report.errors() > 0 && report.to_string().starts_with(['e', 'w']),
                "{text}"
            );
        }
    }
}

#[test]
fn every_beginning_of_a_file_gives_a_file_or_a_report() {
    for end in 0..GOOD.len() {
        if let Err(report) = parse("cut.yaml", &GOOD[..end], &most, None, as_written) {
            assert!(!report.to_string().is_empty());
        }
    }
}

#[test]
fn a_large_broken_file_takes_no_time() {
    let text = format!(
        "listeners: {{ w: {{ address: '0.0.0.0:1' }} }}\nroutes:\n{}",
        "  same: { upstream: nowhere }\n".repeat(20_000)
    );
    let start = std::time::Instant::now();
    let report = parse("large.yaml", &text, &most, None, as_written).unwrap_err();
    assert!(report.to_string().contains("more, not shown"));
    assert!(
        start.elapsed() < std::time::Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
}

/// xorshift64: the same mutations each time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }
}

/// Each anchor keeps a copy of what it stands for, those within others again: a megabyte became gigabytes.
#[test]
fn anchors_within_anchors_are_bounded() {
    let open: String = (0..60).map(|number| format!("&a{number} [")).collect();
    let text = format!("k: {open}{}{}", "x,".repeat(100_000), "]".repeat(60));
    let report = parse("anchors.yaml", &text, &most, None, as_written).unwrap_err();
    let said = report.to_string();
    assert!(said.contains("more than 500000 values"), "{said}");
}

/// A tag that is not spelled as it is understood was looked for in all of the text above it, each time.
#[test]
fn tags_are_not_looked_for_far_away() {
    let text = format!("k: [{}]", "!%61 x,".repeat(200_000));
    let start = std::time::Instant::now();
    assert!(parse("tags.yaml", &text, &most, None, as_written).is_err());
    let took = start.elapsed();
    assert!(took < std::time::Duration::from_secs(30), "{took:?}");
}

#[test]
fn where_the_operators_side_is_can_be_read_of_a_file_that_is_no_yaml() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tidegate.yaml");
    for (text, want) in [
        (
            "routes: [\nadmin:\n  # here\n\n  address: 127.0.0.1:9901\nrest: }",
            Some("127.0.0.1:9901"),
        ),
        (
            "admin: { address: \"[::1]:1\" }\n<<<<<<< HEAD",
            Some("[::1]:1"),
        ),
        ("admins: { address: 127.0.0.1:1 }\n\troutes", None),
        ("admin: { address: \n\troutes", None),
    ] {
        std::fs::write(&file, text).expect("written");
        let found = admin_of(&file)
            .ok()
            .flatten()
            .map(|it| it.address.value.to_string());
        assert_eq!(
            found.as_deref(),
            want,
            "{text}: {:?}",
            admin_of(&file).map_err(|it| it.to_string())
        );
    }
}
