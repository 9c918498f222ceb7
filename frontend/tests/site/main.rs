//! The real process on a real socket: what each kind of request gets, what it must never get, and how it leaves.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod running;

use std::fs;
use std::io::{BufRead as _, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use running::*;

#[test]
fn a_page_is_asked_for_again_and_an_asset_kept_for_a_while() {
    let folder = a_site();
    let site = start(&folder);
    let page = site.get("/");
    assert_eq!(
        (page.status, page.header("content-type")),
        (200, "text/html; charset=utf-8")
    );
    assert_eq!(page.header("cache-control"), "no-cache");
    assert!(page.text().contains("the page"));
    let script = site.get("/assets/app.js");
    assert_eq!(
        (script.status, script.header("content-type")),
        (200, "text/javascript; charset=utf-8")
    );
    assert_eq!(
        script.header("cache-control"),
        "public, max-age=300, must-revalidate"
    );
}

#[test]
fn head_is_get_without_the_body() {
    let folder = a_site();
    let site = start(&folder);
    for target in ["/", "/assets/ten.txt", "/health"] {
        let (get, head) = (site.get(target), site.ask("HEAD", target, &[]));
        assert_eq!(head.status, get.status, "{target}");
        assert_eq!(
            head.header("content-length"),
            get.body.len().to_string(),
            "{target}"
        );
        assert_eq!(head.text(), "", "{target}");
    }
    let head = site.ask("HEAD", "/nowhere", &[]);
    assert_eq!((head.status, head.text().as_str()), (404, ""));
}

#[test]
fn what_has_not_changed_is_not_sent_again() {
    let folder = a_site();
    let site = start(&folder);
    let first = site.get("/assets/app.js");
    let (tag, date) = (first.header("etag"), first.header("last-modified"));
    assert!(tag.starts_with('"') && !date.is_empty(), "{first:?}");
    for condition in [
        ("if-none-match", tag),
        ("if-none-match", "*"),
        ("if-modified-since", date),
    ] {
        let again = site.ask("GET", "/assets/app.js", &[condition]);
        assert_eq!(
            (again.status, again.text().as_str()),
            (304, ""),
            "{condition:?}"
        );
        // RFC 9110, section 15.4.5: what a cache needs to renew what it has.
        for name in ["etag", "cache-control", "vary"] {
            assert_eq!(again.header(name), first.header(name), "{name}");
        }
        assert_ne!(again.header("content-length"), "0");
    }
    assert_eq!(
        site.ask("GET", "/assets/app.js", &[("if-none-match", "\"other\"")])
            .status,
        200
    );
}

#[test]
fn a_compressed_answer_has_a_weak_validator_that_still_validates() {
    let folder = a_site();
    let site = start(&folder);
    let first = site.ask("GET", "/assets/app.js", &[("accept-encoding", "gzip")]);
    let tag = first.header("etag");
    assert!(tag.starts_with("W/\""), "{tag}");
    let again = site.ask(
        "GET",
        "/assets/app.js",
        &[("accept-encoding", "gzip"), ("if-none-match", tag)],
    );
    assert_eq!(again.status, 304);
}

#[test]
fn ranges_are_parts_of_the_file() {
    let folder = a_site();
    let site = start(&folder);
    for (range, part, content_range) in [
        ("bytes=2-4", "234", "bytes 2-4/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=-2", "89", "bytes 8-9/10"),
        ("bytes=8-99", "89", "bytes 8-9/10"),
    ] {
        let answer = site.ask(
            "GET",
            "/assets/ten.txt",
            &[("range", range), ("accept-encoding", "gzip")],
        );
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (206, part),
            "{range}"
        );
        assert_eq!(answer.header("content-range"), content_range, "{range}");
        assert_eq!(answer.header("content-encoding"), "", "{range}");
    }
    let beyond = site.ask("GET", "/assets/ten.txt", &[("range", "bytes=10-")]);
    assert_eq!(
        (beyond.status, beyond.header("content-range")),
        (416, "bytes */10")
    );
    // Several ranges at once may be answered with the whole (RFC 9110, section 14.2).
    assert_eq!(
        site.ask("GET", "/assets/ten.txt", &[("range", "bytes=0-1,4-5")])
            .status,
        200
    );
}

#[test]
fn a_range_of_a_file_that_has_changed_is_the_whole_file() {
    let folder = a_site();
    let site = start(&folder);
    let first = site.get("/assets/ten.txt");
    let ask = |condition| {
        site.ask(
            "GET",
            "/assets/ten.txt",
            &[("range", "bytes=2-4"), ("if-range", condition)],
        )
    };
    assert_eq!(ask(first.header("etag")).text(), "234");
    assert_eq!(ask(first.header("last-modified")).text(), "234");
    for other in [
        "\"other\"",
        &format!("W/{}", first.header("etag")),
        "Mon, 01 Jan 2001 00:00:00 GMT",
    ] {
        let answer = ask(other);
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (200, "0123456789"),
            "{other}"
        );
    }
}

#[test]
fn text_is_compressed_as_negotiated_and_pictures_are_not() {
    let folder = a_site();
    let site = start(&folder);
    for (accept, encoding, magic) in [
        ("gzip", "gzip", &[0x1f, 0x8b][..]),
        ("zstd", "zstd", &[0x28, 0xb5, 0x2f, 0xfd]),
        ("br", "br", &[]),
    ] {
        let answer = site.ask("GET", "/assets/app.js", &[("accept-encoding", accept)]);
        assert_eq!(answer.header("content-encoding"), encoding);
        assert_eq!(answer.header("vary"), "accept-encoding");
        assert!(
            answer.body.len() < SCRIPT.len() * 10,
            "{accept}: {} bytes",
            answer.body.len()
        );
        assert!(
            answer
                .body
                .windows(magic.len().max(1))
                .any(|window| window == magic || magic.is_empty()),
            "{accept}"
        );
    }
    for accept in ["identity", "gzip;q=0", "sdch"] {
        let answer = site.ask("GET", "/assets/app.js", &[("accept-encoding", accept)]);
        assert_eq!(
            (answer.header("content-encoding"), answer.header("vary")),
            ("", "accept-encoding"),
            "{accept}"
        );
        assert_eq!(answer.text(), SCRIPT.repeat(50));
    }
    let picture = site.ask("GET", "/assets/picture.png", &[("accept-encoding", "gzip")]);
    assert_eq!(
        (picture.header("content-encoding"), picture.body.len()),
        ("", 4000)
    );
}

#[test]
fn every_answer_tells_the_browser_what_it_may_do() {
    let folder = a_site();
    let site = Frontend::start(
        &folder.path().join("site"),
        &["--api-origin", "http://127.0.0.1:5252"],
    );
    let answers = [
        site.get("/"),
        site.get("/assets/app.js"),
        site.get("/nowhere"),
        site.ask("PUT", "/", &[]),
    ];
    for answer in answers {
        let policy = answer.header("content-security-policy");
        for part in [
            "default-src 'self'",
            "frame-ancestors 'none'",
            "connect-src 'self' http://127.0.0.1:5252;",
        ] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        for name in [
            "referrer-policy",
            "permissions-policy",
            "cross-origin-opener-policy",
            "cross-origin-resource-policy",
        ] {
            assert_ne!(answer.header(name), "", "{name}");
        }
    }
}

#[test]
fn what_is_not_there_is_the_404_page() {
    let folder = a_site();
    let site = start(&folder);
    for target in [
        "/nowhere",
        "/index.html/more",
        "/assets/nothing.js",
        &format!("/{}", "x".repeat(300)),
    ] {
        let answer = site.get(target);
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (404, "text/html; charset=utf-8"),
            "{target}"
        );
        assert_eq!(answer.header("cache-control"), "no-cache", "{target}");
        assert!(answer.text().contains("lost at sea"), "{target}");
    }
}

#[test]
fn a_directory_is_never_listed() {
    let folder = a_site();
    let site = start(&folder);
    for target in ["/assets/", "/assets/empty/"] {
        let answer = site.get(target);
        assert_eq!(answer.status, 404, "{target}");
        assert!(!answer.text().contains("app.js"), "{target}");
    }
}

#[test]
fn dotfiles_do_not_exist() {
    let folder = a_site();
    let site = start(&folder);
    for target in [
        "/.env",
        "/%2eenv",
        "/.git/config",
        "/%2Egit/config",
        "/assets/../.env",
        "/.git/",
        "/.git",
        "/..data/mounted.txt",
    ] {
        let answer = site.get(target);
        assert_eq!(answer.status, 404, "{target}");
        assert!(!answer.text().contains("secret"), "{target}");
    }
}

#[test]
fn there_is_no_way_out_of_the_root() {
    let folder = a_site();
    let site = start(&folder);
    for target in [
        "/../secret.txt",
        "/assets/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/%2e%2e%2fsecret.txt",
        "/%252e%252e/secret.txt",
        "/..%5csecret.txt",
        "/..\\secret.txt",
        "/assets%00/../../secret.txt",
        "/assets/ten.txt%00",
        "/outside.txt",
        "/up/secret.txt",
        "/up",
        "/up/",
        "/loop",
        "//secret.txt",
        "//up/secret.txt",
        "/%2f/secret.txt",
        "/%ff",
        &folder.path().join("secret.txt").display().to_string(),
    ] {
        let answer = site.get(target);
        // 400: the HTTP library did not take it for a target at all.
        assert!(
            matches!(answer.status, 400 | 404),
            "{target}: {}",
            answer.status
        );
        assert!(!answer.text().contains("secret"), "{target}");
    }
    assert_eq!(
        site.get("/inside.txt").text(),
        "0123456789",
        "a link within the root is as good as a file"
    );
    assert_eq!(site.get("/mounted.txt").text(), "mounted");
}

#[test]
fn a_redirect_stays_on_this_host() {
    let folder = a_site();
    let site = start(&folder);
    let redirect = site.get("/assets");
    assert_eq!(
        (redirect.status, redirect.header("location")),
        (307, "/assets/")
    );
    for target in [
        "//assets",
        "//elsewhere.test/..",
        "//elsewhere.test%2f..",
        "/%2fassets",
    ] {
        let answer = site.get(target);
        assert_eq!(
            (answer.status, answer.header("location")),
            (404, ""),
            "{target}"
        );
    }
}

#[test]
fn a_pipe_is_not_waited_for() {
    let folder = a_site();
    assert!(
        Command::new("mkfifo")
            .arg(folder.path().join("site/pipe"))
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(start(&folder).get("/pipe").status, 404);
}

#[test]
fn only_get_and_head_are_answered() {
    let folder = a_site();
    let site = start(&folder);
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW"] {
        for target in ["/", "/health", "/nowhere"] {
            let answer = site.ask(method, target, &[]);
            assert_eq!(
                (answer.status, answer.header("allow")),
                (405, "GET, HEAD"),
                "{method} {target}"
            );
        }
    }
}

#[test]
fn the_health_command_tells_by_its_exit_code() {
    let folder = a_site();
    let mut site = start(&folder);
    let address = site.address.to_string();
    let health = || {
        program()
            .args(["health", "--listen", &address])
            .status()
            .unwrap()
            .code()
    };
    assert_eq!(health(), Some(0));
    site.signal("-TERM");
    site.exit();
    assert_eq!(health(), Some(1));
}

#[test]
fn what_it_cannot_do_is_one_line_and_exit_1() {
    let folder = a_site();
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    let root = folder.path().join("site").display().to_string();
    let file = format!("{root}/index.html");
    for (listen, root, named) in [
        (&taken[..], &root[..], &taken[..]),
        ("127.0.0.1:0", "/no/such/place", "/no/such/place"),
        ("127.0.0.1:0", &file, &file),
    ] {
        let output = program()
            .args(["--listen", listen, "--root", root])
            .output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(
            stderr.lines().count() == 1 && stderr.contains(named),
            "{stderr}"
        );
    }
}

#[test]
fn a_download_finishes_before_the_process_stops() {
    let folder = a_site();
    let size = 32 * 1024 * 1024;
    fs::write(folder.path().join("site/big.bin"), vec![1; size]).unwrap();
    let mut site = start(&folder);
    let mut stream = site.connect();
    stream
        .write_all(b"GET /big.bin HTTP/1.1\r\nhost: test\r\n\r\n")
        .unwrap();
    let mut first = [0; 1024];
    stream.read_exact(&mut first).unwrap();

    site.signal("-TERM");
    let start = Instant::now();
    while TcpStream::connect(site.address).is_ok() {
        assert!(start.elapsed() < DEADLINE, "still accepts connections");
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert!(first.len() + rest.len() > size, "{} bytes", rest.len());
    assert_eq!(site.exit().code(), Some(0));
}

#[test]
fn the_site_that_is_shipped_needs_nothing_its_policy_forbids() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("site");
    let site = Frontend::start(&root, &[]);
    for page in ["/", "/404.html"] {
        let html = site.get(page).text();
        assert!(
            !html.contains(" style=") && !html.contains("<style") && !html.contains(" onclick"),
            "{page}"
        );
        let links = html
            .split(['"', '\''])
            .filter(|part| part.starts_with("/assets/") || part.ends_with(".svg"));
        for link in links {
            assert_eq!(site.get(link).status, 200, "{page} asks for {link}");
        }
        assert!(
            !html.contains("src=\"http") && !html.contains("href=\"http"),
            "{page} loads from elsewhere"
        );
    }
}
