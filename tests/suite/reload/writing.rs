//! The many ways in which a file is written.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use tidegate_tests::{Gateway, PATIENCE, eventually};

use crate::{answers, count, named, refusal, start, text, to, who};

#[tokio::test]
async fn a_hang_up_takes_the_file_again() {
    let (gateway, _first, _second) = start().await;
    for _ in 0..3 {
        let before = gateway.ready().await.generation;
        gateway.process.hang_up();
        gateway.generation_after(before).await;
        assert_eq!(who(&gateway).await, "first");
    }
    gateway.edit("nonsense: true\n");
    refusal(&gateway).await;
    gateway.process.hang_up();
    // Who asks again is told again.
    let told = async || count(&gateway, "routing file refused") == 2;
    eventually("it is refused again", PATIENCE, told).await;
    assert_eq!(who(&gateway).await, "first");
}

#[tokio::test]
async fn an_editor_that_renames_is_noticed() {
    let (gateway, first, second) = start().await;
    for (server, name) in [(&second, "second"), (&first, "first"), (&second, "second")] {
        // `edit` writes beside and renames. Some editors keep the old file under another name first.
        let backup = gateway.file().with_extension("yaml~");
        std::fs::rename(gateway.file(), &backup).unwrap();
        gateway.edit(&to(server.address()));
        answers(&gateway, name).await;
    }
    assert_eq!(text(&gateway).matches("upstreams").count(), 1);
}

#[tokio::test]
async fn a_file_that_is_written_in_place_is_noticed() {
    let (gateway, first, second) = start().await;
    let (mut from, mut onto) = (&first, &second);
    for name in ["second", "first", "second"] {
        let there = onto.address().to_string();
        let edited = text(&gateway).replace(&from.address().to_string(), &there);
        std::fs::write(gateway.file(), edited).unwrap();
        answers(&gateway, name).await;
        std::mem::swap(&mut from, &mut onto);
    }
    assert_eq!(count(&gateway, "routing file refused"), 0);
}

#[tokio::test]
async fn a_file_that_vanishes_changes_nothing_and_may_return() {
    let (gateway, first, second) = start().await;
    let whole = text(&gateway);
    std::fs::remove_file(gateway.file()).unwrap();
    let report = refusal(&gateway).await;
    assert!(report.contains("tidegate.yaml"), "{report}");
    assert_eq!(gateway.ready().await.status, 200);
    assert_eq!(who(&gateway).await, "first");
    // With other content, and once more with what it had.
    let there = second.address().to_string();
    let edited = whole.replace(&first.address().to_string(), &there);
    std::fs::write(gateway.file(), edited).unwrap();
    answers(&gateway, "second").await;
    std::fs::remove_file(gateway.file()).unwrap();
    refusal(&gateway).await;
    std::fs::write(gateway.file(), &whole).unwrap();
    answers(&gateway, "first").await;
    assert!(gateway.ready().await.body["refused"].is_null());
}

/// As a ConfigMap is mounted: `tidegate.yaml -> ..data/tidegate.yaml`, `..data -> ..1`, and an update makes `..2` and
/// renames a new `..data` over the old one.
struct Mounted {
    folder: PathBuf,
}

impl Mounted {
    fn version(&self, number: usize, text: &str) {
        let version = self.folder.join(format!("..{number}"));
        std::fs::create_dir(&version).unwrap();
        std::fs::write(version.join("tidegate.yaml"), text).unwrap();
        let beside = self.folder.join("..data_tmp");
        symlink(format!("..{number}"), &beside).unwrap();
        std::fs::rename(beside, self.folder.join("..data")).unwrap();
        if number > 1 {
            std::fs::remove_dir_all(self.folder.join(format!("..{}", number - 1))).unwrap();
        }
    }

    /// Turns a plain file into such a mount.
    fn around(file: &Path) -> Self {
        let folder = file.parent().unwrap().to_owned();
        let text = std::fs::read_to_string(file).unwrap();
        std::fs::remove_file(file).unwrap();
        let mounted = Self { folder };
        mounted.version(1, &text);
        symlink("..data/tidegate.yaml", file).unwrap();
        mounted
    }
}

#[tokio::test]
async fn a_mounted_folder_whose_link_is_swapped_is_noticed() {
    let (first, second) = (named("first").await, named("second").await);
    let mut mounted = None;
    let gateway = Gateway::start_with(&to(first.address()), |command| {
        let file = command.get_args().find(|it| Path::new(it).is_file());
        mounted = Some(Mounted::around(Path::new(file.unwrap())));
    })
    .await;
    assert_eq!(who(&gateway).await, "first");
    let whole = text(&gateway);
    let (one, two) = (first.address().to_string(), second.address().to_string());
    for (number, name) in [(2, "second"), (3, "first"), (4, "second")] {
        let edited = match name {
            "second" => whole.replace(&one, &two),
            _ => whole.clone(),
        };
        mounted.as_ref().unwrap().version(number, &edited);
        answers(&gateway, name).await;
    }
}

/// A link to a file elsewhere that is then edited there.
#[tokio::test]
async fn a_file_behind_a_link_is_noticed() {
    let (first, second) = (named("first").await, named("second").await);
    let elsewhere = tempfile::tempdir().unwrap();
    let real = elsewhere.path().join("real.yaml");
    let gateway = Gateway::start_with(&to(first.address()), |command| {
        let file = command.get_args().find(|it| Path::new(it).is_file());
        let file = Path::new(file.unwrap());
        std::fs::copy(file, &real).unwrap();
        std::fs::remove_file(file).unwrap();
        symlink(&real, file).unwrap();
    })
    .await;
    let (one, two) = (first.address().to_string(), second.address().to_string());
    let edited = text(&gateway).replace(&one, &two);
    std::fs::write(&real, edited).unwrap();
    answers(&gateway, "second").await;
}

#[tokio::test]
async fn of_two_edits_in_quick_succession_the_second_stays() {
    let (gateway, first, second) = start().await;
    for round in 0..10 {
        let (one, two, name) = match round % 2 {
            0 => (&first, &second, "second"),
            _ => (&second, &first, "first"),
        };
        gateway.edit(&to(one.address()));
        gateway.edit(&to(two.address()));
        answers(&gateway, name).await;
        let before = gateway.ready().await.generation;
        gateway.process.hang_up();
        gateway.generation_after(before).await;
        assert_eq!(who(&gateway).await, name);
    }
    // A bad one in between does no harm either.
    gateway.edit("nonsense: true\n");
    gateway.edit(&to(second.address()));
    answers(&gateway, "second").await;
    eventually("no refusal stays", PATIENCE, async || {
        gateway.ready().await.body["refused"].is_null()
    })
    .await;
}
