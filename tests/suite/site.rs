//! The demonstration page behind the proxy, in a real browser: what a visitor sees.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use fantoccini::wd::{Capabilities, WebDriverCompatibleCommand};
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::json;
use tidegate_tests::{Api, Frontend, Gateway, Process, eventually, free_port, skip};
use url::{ParseError, Url};

const CHROMIUM: &str = "/usr/bin/chromium";
const CHROMEDRIVER: &str = "/usr/bin/chromedriver";

/// A browser on a busy machine, and a page that tries again after up to ten seconds.
const PATIENCE: Duration = Duration::from_secs(40);

/// A browser of its own with an empty profile.
struct Browser {
    client: Client,
    // In this order: the driver ends the browser, then its profile goes.
    _driver: Process,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// None where the machine has no Chromium, and then it says so.
    async fn start(test: &str) -> Option<Self> {
        for program in [CHROMIUM, CHROMEDRIVER] {
            if !Path::new(program).exists() {
                skip(
                    test,
                    &format!("{program} is not there (Debian: chromium, chromium-driver)"),
                );
                return None;
            }
        }
        let profile = tempfile::tempdir().unwrap();
        let port = free_port();
        let mut command = Command::new(CHROMEDRIVER);
        command.arg(format!("--port={port}"));
        let driver = Process::start("chromedriver", command);
        let url = format!("http://127.0.0.1:{port}");
        let client = eventually("a browser", PATIENCE, async || {
            ClientBuilder::new(HttpConnector::new())
                .capabilities(capabilities(profile.path()))
                .connect(&url)
                .await
        })
        .await;
        Some(Self {
            client,
            _driver: driver,
            _profile: profile,
        })
    }

    /// The text of the element, as seen.
    async fn text(&self, css: &str) -> String {
        let element = self.client.find(Locator::Css(css)).await.unwrap();
        element.text().await.unwrap()
    }

    async fn is_shown(&self, css: &str) -> bool {
        let element = self.client.find(Locator::Css(css)).await.unwrap();
        element.is_displayed().await.unwrap()
    }

    async fn click(&self, css: &str) {
        let element = self.client.find(Locator::Css(css)).await.unwrap();
        element.click().await.unwrap();
    }

    /// Instance and count of each row.
    async fn rows(&self) -> Vec<(String, u64)> {
        let script = "return [...document.querySelectorAll('[data-instance]')].map(row => [row.dataset.instance, Number(row.dataset.count)])";
        let rows = self.client.execute(script, Vec::new()).await.unwrap();
        serde_json::from_value(rows).unwrap()
    }

    async fn number(&self, css: &str) -> u64 {
        let text = self.text(css).await;
        text.parse()
            .unwrap_or_else(|_| panic!("{css} shows {text:?}"))
    }

    /// What the console said since the last look, from warnings on. Violations of the page's policy are errors there.
    async fn complaints(&self) -> Vec<String> {
        let entries = self.client.issue_cmd(Console).await.unwrap();
        let entries = entries.as_array().cloned().unwrap_or_default();
        entries
            .iter()
            .filter(|entry| entry["level"] == "SEVERE" || entry["level"] == "WARNING")
            .map(|entry| entry["message"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    /// An orderly end. A test that fails before leaves it to the driver.
    async fn end(self) {
        self.client.close().await.unwrap();
    }
}

fn capabilities(profile: &Path) -> Capabilities {
    let options = json!({
        "binary": CHROMIUM,
        "args": [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--window-size=1200,1600",
            format!("--user-data-dir={}", profile.display()),
        ],
    });
    let mut capabilities = Capabilities::new();
    capabilities.insert("goog:chromeOptions".into(), options);
    capabilities.insert("goog:loggingPrefs".into(), json!({ "browser": "ALL" }));
    capabilities
}

/// Chromedriver's own command for the console, which WebDriver does not have.
#[derive(Debug)]
struct Console;

impl WebDriverCompatibleCommand for Console {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/se/log", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &Url) -> (http::Method, Option<String>) {
        (
            http::Method::POST,
            Some(json!({ "type": "browser" }).to_string()),
        )
    }
}

/// The stack of the demo.
struct Stack {
    one: Api,
    two: Api,
    _frontend: Frontend,
    gateway: Gateway,
}

impl Stack {
    async fn start() -> Self {
        let (one, two) = (Api::start("one").await, Api::start("two").await);
        let frontend = Frontend::start().await;
        let gateway = Gateway::start(&format!(
            r#"
upstreams:
  api:
    servers: [ "{}", "{}" ]
    health_check: {{ http: {{ path: /api/health, interval: 200ms, healthy_after: 1 }} }}
  frontend: {{ servers: [ "{}" ] }}
routes:
  api: {{ match: {{ path_prefix: /api }}, upstream: api }}
  site: {{ match: {{ path_prefix: / }}, upstream: frontend }}
"#,
            one.address(),
            two.address(),
            frontend.address()
        ))
        .await;
        Self {
            one,
            two,
            _frontend: frontend,
            gateway,
        }
    }

    async fn open(&self, browser: &Browser) {
        browser.client.goto(&self.gateway.url("/")).await.unwrap();
        eventually("the greeting", PATIENCE, async || {
            browser.text("#dynamic-content").await == "Hello, World!"
        })
        .await;
    }
}

/// Clicks "send 100" and waits for all of them.
async fn send_hundred(browser: &Browser) {
    let before = browser.number("#total").await + browser.number("#failed").await;
    browser.click("#send-hundred").await;
    eventually("a hundred more", PATIENCE, async || {
        browser.number("#total").await + browser.number("#failed").await == before + 100
    })
    .await;
}

#[tokio::test]
async fn the_page_greets_and_shows_that_each_instance_answers_half() {
    let Some(browser) =
        Browser::start("the_page_greets_and_shows_that_each_instance_answers_half").await
    else {
        return;
    };
    let stack = Stack::start().await;
    stack.open(&browser).await;
    assert!(!browser.is_shown("#api-unreachable").await);
    send_hundred(&browser).await;
    let rows = browser.rows().await;
    let total = browser.number("#total").await;
    assert_eq!(total, 100);
    let names: Vec<&str> = rows.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["one", "two"]);
    assert_eq!(rows.iter().map(|(_, count)| count).sum::<u64>(), total);

    // In turn, so exactly half each.
    assert_eq!((rows[0].1, rows[1].1), (50, 50));
    assert_eq!(browser.number("#failed").await, 0);
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    browser.end().await;
}

#[tokio::test]
async fn the_page_shows_what_happens_when_instances_stop_and_return() {
    let Some(browser) =
        Browser::start("the_page_shows_what_happens_when_instances_stop_and_return").await
    else {
        return;
    };
    let mut stack = Stack::start().await;
    stack.open(&browser).await;
    send_hundred(&browser).await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());

    // One stops: nothing fails, the other takes over.
    stack.one.kill();
    let before = count(&browser, "two").await;
    send_hundred(&browser).await;
    assert_eq!(browser.number("#failed").await, 0);
    assert_eq!(count(&browser, "two").await, before + 100);
    assert_eq!(browser.complaints().await, Vec::<String>::new());

    // Both stop: the page says so.
    stack.two.kill();
    browser.click("#send-one").await;
    eventually("the banner", PATIENCE, async || {
        browser.is_shown("#api-unreachable").await
    })
    .await;

    // They return: it says so no more, and they answer again.
    stack.one.restart().await;
    stack.two.restart().await;
    eventually("the banner is gone", PATIENCE, async || {
        !browser.is_shown("#api-unreachable").await
    })
    .await;
    let before = count(&browser, "one").await;
    eventually("the first answers again", PATIENCE, async || {
        browser.click("#send-one").await;
        count(&browser, "one").await > before
    })
    .await;
    // What failed meanwhile is in the console as failed requests; nothing else is.
    for complaint in browser.complaints().await {
        assert!(
            complaint.contains("/api/") && complaint.contains("Failed to load resource"),
            "{complaint}"
        );
    }
    browser.end().await;
}

async fn count(browser: &Browser, instance: &str) -> u64 {
    let rows = browser.rows().await;
    rows.iter()
        .find(|(name, _)| name == instance)
        .map_or(0, |(_, count)| *count)
}

#[tokio::test]
async fn the_steady_stream_goes_on_while_the_file_is_edited() {
    let Some(browser) = Browser::start("the_steady_stream_goes_on_while_the_file_is_edited").await
    else {
        return;
    };
    let stack = Stack::start().await;
    stack.open(&browser).await;
    browser.click("#stream-toggle").await;
    eventually("it streams", PATIENCE, async || {
        browser.number("#total").await >= 10
    })
    .await;
    let file = std::fs::read_to_string(stack.gateway.file()).unwrap();
    let only_two = file.replace(&format!("\"{}\", ", stack.one.address()), "");
    assert_ne!(file, only_two);
    stack.gateway.reload(&only_two).await;
    let (one, two) = (count(&browser, "one").await, count(&browser, "two").await);
    eventually("the second answers", PATIENCE, async || {
        count(&browser, "two").await >= two + 10
    })
    .await;
    // One that was under way at the swap may still come.
    assert!(count(&browser, "one").await <= one + 1);
    assert_eq!(browser.number("#failed").await, 0);
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    browser.end().await;
}
