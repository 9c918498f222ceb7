//! The commands for people that set it up: a starter file, completions for the shell, the manual.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use tidegate_tests::{Origin, PATIENCE, Process, client, eventually, free_address, program};

fn tidegate(arguments: &[&str]) -> Command {
    let mut command = Command::new(program("tidegate"));
    command
        .args(arguments)
        .env_remove("TIDEGATE_CONFIG")
        .stdin(Stdio::null());
    command
}

/// Runs to the end: exit code and what was said on both outputs.
fn said(mut command: Command) -> (Option<i32>, String, String) {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[tokio::test]
async fn a_starter_file_serves_as_it_is() {
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\napi";
    let api = Origin::answering(answer).await;
    let folder = tempfile::tempdir().unwrap();
    let (web, admin) = (free_address().to_string(), free_address().to_string());
    let upstream = format!("api={}/api", api.address());
    let mut init = tidegate(&[
        "init",
        "--upstream",
        &upstream,
        "--listen",
        &web,
        "--admin",
        &admin,
    ]);
    init.current_dir(&folder);
    let (code, stdout, stderr) = said(init);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    assert!(
        stdout.contains("conf/tidegate.yaml: written (1 listener, 1 upstream, 1 route)"),
        "{stdout}"
    );
    assert!(
        stdout.contains("next: tidegate run -c conf/tidegate.yaml"),
        "{stdout}"
    );

    let file = folder
        .path()
        .join("conf/tidegate.yaml")
        .display()
        .to_string();
    let (code, _, findings) = said(tidegate(&["check", "-c", &file]));
    assert_eq!((code, findings.as_str()), (Some(0), ""));
    let _process = Process::start("tidegate", tidegate(&["run", "-c", &file]));
    for (path, status) in [("/api/x", 200), ("/apiary", 404)] {
        eventually(&format!("{status} for {path}"), PATIENCE, async || {
            let answer = client().get(format!("http://{web}{path}")).send().await;
            answer.is_ok_and(|answer| answer.status().as_u16() == status)
        })
        .await;
    }
}

#[test]
fn a_file_that_is_there_stays_unless_told_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.yaml");
    std::fs::write(&file, "mine").unwrap();
    let path = file.display().to_string();
    let init = |more: &[&str]| {
        let arguments = [&["init", "--upstream", "api=x:1", "-o", &path], more].concat();
        said(tidegate(&arguments))
    };
    let (code, _, stderr) = init(&[]);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(
        stderr.contains("mine.yaml is there already") && stderr.contains("--force"),
        "{stderr}"
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    assert_eq!(init(&["--force"]).0, Some(0));
    let written = std::fs::read_to_string(&file).unwrap();
    let (code, stdout, _) = said(tidegate(&["init", "--upstream", "api=x:1", "-o", "-"]));
    assert_eq!((code, stdout), (Some(0), written));
}

#[test]
fn what_cannot_be_written_is_told_with_what_to_give() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, expected) in [
        (&[][..], "give --upstream NAME=HOST:PORT"),
        (&["--upstream", "api"], "expected NAME=HOST:PORT"),
        (&["--upstream", "api=x"], "port"),
        (
            &["--upstream", "a=x:1", "--upstream", "a=y:1"],
            "two upstreams are called `a`",
        ),
        (
            &["--upstream", "a=x:1", "--listen", "80"],
            "expected an address and a port",
        ),
        (
            &["--upstream", "a=x:1", "--listen", "127.0.0.1:9901"],
            "127.0.0.1:9901",
        ),
    ] {
        let arguments = [&["init"], arguments].concat();
        let mut command = tidegate(&arguments);
        command.current_dir(&folder);
        let (code, _, stderr) = said(command);
        assert_eq!(code, Some(2), "{arguments:?}: {stderr}");
        assert!(stderr.contains(expected), "{arguments:?}: {stderr}");
    }
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
}

/// As `--help` lists them.
fn commands() -> BTreeSet<String> {
    let (_, help, _) = said(tidegate(&["--help"]));
    let list = help.split("Commands:\n").nth(1).unwrap();
    let lines = list.lines().take_while(|line| line.starts_with("  "));
    let names = lines.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    names
        .filter(|name| !name.is_empty() && *name != "help")
        .map(ToOwned::to_owned)
        .collect()
}

#[test]
fn every_shell_completes_every_command() {
    let commands = commands();
    assert!(
        commands.contains("run") && commands.contains("completions"),
        "{commands:?}"
    );
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (code, script, stderr) = said(tidegate(&["completions", shell]));
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{shell}");
        for word in commands
            .iter()
            .map(String::as_str)
            .chain(["config", "upstream"])
        {
            assert!(script.contains(word), "{shell} does not know {word}");
        }
    }
    assert_eq!(said(tidegate(&["completions", "tcsh"])).0, Some(2));
}

/// Bash takes what is printed for it.
#[test]
fn bash_reads_its_completions() {
    let (_, script, _) = said(tidegate(&["completions", "bash"]));
    let ask = "COMP_WORDS=(tidegate ini); COMP_CWORD=1; _tidegate tidegate ini tidegate; echo \"${COMPREPLY[@]}\"";
    let mut bash = Command::new("bash");
    bash.args(["-c", &format!("{script}\n{ask}")]);
    let (code, stdout, stderr) = said(bash);
    assert_eq!((code, stdout.trim()), (Some(0), "init"), "{stderr}");
}

#[test]
fn the_manual_has_a_page_for_every_command() {
    let (code, page, _) = said(tidegate(&["man"]));
    assert_eq!(code, Some(0));
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man1");
    let into = pages.display().to_string();
    assert_eq!(said(tidegate(&["man", "--dir", &into])).0, Some(0));
    for command in commands() {
        assert!(
            page.contains(&format!("tidegate\\-{command}(1)")),
            "{command} is not in\n{page}"
        );
        let own = read(&pages.join(format!("tidegate-{command}.1")));
        assert!(own.contains(".SH OPTIONS"), "{own}");
    }
    assert!(read(&pages.join("tidegate-init.1")).contains("NAME=HOST:PORT"));
    assert!(read(&pages.join("tidegate.1")).contains("TIDEGATE_CONFIG"));
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
