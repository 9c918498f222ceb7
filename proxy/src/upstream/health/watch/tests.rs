//! Tests of what a server's probes say, with time that passes when nobody has anything to do.

use std::sync::atomic::AtomicBool;

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::*;
use crate::upstream::health::Pace;
use crate::upstream::health::pace::Settings;
use crate::upstream::health::probe::{Probe, Progress};

const GOOD: Result<(), ()> = Ok(());
const BAD: Result<(), ()> = Err(());

#[test]
fn the_first_answer_decides_alone() {
    assert_eq!(
        Streak::default().judge(&GOOD, Health::Untried, 5, 5),
        Some(Health::Up)
    );
    assert_eq!(
        Streak::default().judge(&BAD, Health::Untried, 5, 5),
        Some(Health::Down)
    );
}

#[test]
fn after_that_it_takes_as_many_in_a_row_as_the_file_says() {
    let mut streak = Streak::default();
    let bad = |streak: &mut Streak| streak.judge(&BAD, Health::Up, 2, 3);
    assert_eq!(bad(&mut streak), None);
    assert_eq!(bad(&mut streak), None);
    assert_eq!(
        streak.judge(&GOOD, Health::Up, 2, 3),
        None,
        "one good answer starts the count anew"
    );
    assert_eq!(bad(&mut streak), None);
    assert_eq!(bad(&mut streak), None);
    assert_eq!(bad(&mut streak), Some(Health::Down));
    assert_eq!(streak.judge(&GOOD, Health::Down, 2, 3), None);
    assert_eq!(streak.judge(&GOOD, Health::Down, 2, 3), Some(Health::Up));
}

#[test]
fn jitter_stays_within_a_tenth() {
    for _ in 0..1000 {
        let pause = with_jitter(Duration::from_secs(1));
        assert!((900..=1100).contains(&pause.as_millis()), "{pause:?}");
    }
}

/// How long each probe takes.
const TAKES: Duration = Duration::from_millis(30);

/// Says when it was asked, and answers what it is told to.
struct Scripted {
    asked: mpsc::UnboundedSender<Instant>,
    is_well: Arc<AtomicBool>,
}

#[async_trait]
impl Probe for Scripted {
    async fn ask(&self, _: SocketAddr, _: &Progress) -> Result<(), String> {
        let _ = self.asked.send(Instant::now());
        sleep(TAKES).await;
        match self.is_well.load(Ordering::SeqCst) {
            true => Ok(()),
            false => Err("it feels ill".to_owned()),
        }
    }
}

struct Patient {
    asked: mpsc::UnboundedReceiver<Instant>,
    is_well: Arc<AtomicBool>,
    watch: Arc<Watch>,
}

impl Patient {
    fn start(kin: Option<&Watch>) -> Self {
        let (sender, asked) = mpsc::unbounded_channel();
        let is_well = Arc::new(AtomicBool::new(true));
        let probe = Scripted {
            asked: sender,
            is_well: Arc::clone(&is_well),
        };
        let pace = Pace {
            interval: Duration::from_secs(10),
            down_interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            healthy_after: 2,
            unhealthy_after: 3,
        };
        let check = Arc::new(Check::new("how", Settings { pace, port: None }, probe));
        let address = ([127, 0, 0, 1], 1).into();
        Self {
            asked,
            is_well,
            watch: Watch::start(address, check, kin),
        }
    }

    /// Waits for so many probes; the pauses before them, in milliseconds.
    async fn pauses(&mut self, count: usize) -> Vec<u128> {
        let mut pauses = Vec::new();
        let mut last = self.asked.recv().await.unwrap();
        for _ in 0..count {
            let next = self.asked.recv().await.unwrap();
            pauses.push((next - last - TAKES).as_millis());
            last = next;
        }
        pauses
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_down_is_probed_at_another_pace_within_the_same_jitter() {
    let mut patient = Patient::start(None);
    let slow = patient.pauses(200).await;
    assert!(
        slow.iter().all(|pause| (9000..=11_001).contains(pause)),
        "{slow:?}"
    );
    assert!(slow.iter().any(|pause| *pause < 9800) && slow.iter().any(|pause| *pause > 10_200));
    patient.is_well.store(false, Ordering::SeqCst);
    while patient.watch.health() != Health::Down {
        patient.asked.recv().await.unwrap();
    }
    let fast = patient.pauses(200).await;
    assert!(
        fast.iter().all(|pause| (900..=1101).contains(pause)),
        "{fast:?}"
    );
    patient.is_well.store(true, Ordering::SeqCst);
    while patient.watch.health() != Health::Up {
        patient.asked.recv().await.unwrap();
    }
    let slow = patient.pauses(3).await;
    assert!(slow.iter().all(|pause| *pause >= 9000), "{slow:?}");
}

#[tokio::test(start_paused = true)]
async fn what_was_found_is_told() {
    let mut patient = Patient::start(None);
    assert_eq!(patient.watch.findings(), Findings::default());
    patient.pauses(2).await;
    let well = patient.watch.findings();
    assert_eq!((well.good, well.bad, well.reason), (2, 0, None));
    assert_eq!(well.last_duration.map(|took| took.as_millis()), Some(30));
    assert!(well.since.is_some());
    patient.is_well.store(false, Ordering::SeqCst);
    // The third was asked already.
    patient.asked.recv().await.unwrap();
    patient.asked.recv().await.unwrap();
    assert_eq!(patient.watch.findings().since, well.since);
    patient.asked.recv().await.unwrap();
    let ill = patient.watch.findings();
    assert_eq!((ill.good, ill.bad), (2, 3));
    assert_eq!(ill.reason.as_deref(), Some("it feels ill"));
    assert!(ill.since > well.since);
    let kin = Patient::start(Some(&patient.watch));
    assert_eq!(kin.watch.health(), Health::Down);
    let (expected, found) = (patient.watch.findings(), kin.watch.findings());
    assert_eq!(
        (found.reason, found.since),
        (expected.reason, expected.since)
    );
    assert_eq!((found.good, found.bad), (0, 0), "its own probes");
}

/// Each edit of the pace makes another watch of it, sooner than the next probe is due.
#[tokio::test(start_paused = true)]
async fn who_edits_again_and_again_keeps_no_server_from_being_found_ill() {
    let mut patient = Patient::start(None);
    patient.pauses(1).await;
    let mut probes = 0;
    for _ in 0..100 {
        let next = Patient::start(Some(&patient.watch));
        next.is_well.store(false, Ordering::SeqCst);
        patient = next;
        sleep(Duration::from_secs(1)).await;
        while patient.asked.try_recv().is_ok() {
            probes += 1;
        }
    }
    assert_eq!(patient.watch.health(), Health::Down);
    // Every ten seconds until it is down, from then on every second.
    assert!((60..=90).contains(&probes), "{probes}");
    patient = Patient::start(Some(&patient.watch));
    patient.asked.recv().await.unwrap();
    sleep(2 * TAKES).await;
    assert_eq!(patient.watch.health(), Health::Down, "two are wanted");
}

#[tokio::test(start_paused = true)]
async fn the_probes_end_with_the_watch() {
    let mut patient = Patient::start(None);
    patient.pauses(1).await;
    drop(patient.watch);
    while patient.asked.recv().await.is_some() {}
}
