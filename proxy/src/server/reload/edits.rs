//! What an operator asks for: what a file would change, that it comes into effect, that an earlier one does again.

use std::sync::Arc;

use async_trait::async_trait;

use super::candidate::{Candidate, Origin};
use super::{Refused, Reloader, Unreadable};
use crate::admin::{Disk, Edits, State, Verdict, Will};
use crate::generation::Generation;
use crate::snapshot::Refusal;

#[async_trait]
impl Edits for Reloader {
    async fn state(&self) -> State {
        let current = self.current();
        let snapshot = self.running.snapshot();
        let known = self.history().get(snapshot.generation).cloned();
        let (trigger, changes) = known
            .map(|one| (one.trigger, one.changes))
            .unwrap_or_default();
        State {
            file: self.path.display().to_string(),
            generation: snapshot.generation,
            since: humantime::format_rfc3339_seconds(snapshot.since).to_string(),
            trigger,
            changes,
            disk: self.disk(&current).await,
            restart_required: self.running.restart_required(),
            effective: current.shown().clone(),
        }
    }

    fn generations(&self) -> Vec<Generation> {
        self.history().all().cloned().collect()
    }

    async fn check(&self, text: String) -> Verdict {
        match self.read(Origin::Text(text)).await {
            Ok(candidate) => match self.not_taken_back(&candidate) {
                Ok(()) => {
                    let candidate = Arc::new(candidate);
                    let changes = self.changes(&candidate).await;
                    fine(&candidate, changes, None)
                }
                Err(Refused(report)) => Verdict::refused(report),
            },
            Err(Unreadable { report, .. }) => Verdict::refused(report),
        }
    }

    async fn apply(&self, text: String, will: Will) -> Verdict {
        let _turn = self.turn.lock().await;
        let applied = async {
            let candidate = self.read(Origin::Text(text)).await?;
            if will == Will::Wanted {
                self.not_taken_back(&candidate)?;
            }
            self.put(candidate, "applied by the operator", will).await
        };
        applied
            .await
            .unwrap_or_else(|Refused(report)| Verdict::refused(report))
    }

    async fn roll_back(&self, to: Option<u64>) -> Verdict {
        let _turn = self.turn.lock().await;
        let now = self.running.snapshot().generation;
        let wanted = {
            let history = self.history();
            match to {
                Some(number) => history.get(number).cloned(),
                None => history.good_before(now).cloned(),
            }
        };
        let Some(wanted) = wanted else {
            return Verdict::refused(match to {
                Some(number) => format!("generation {number} is not kept"),
                None => format!("there is no good generation before {now}"),
            });
        };
        let wanted_files = wanted.files.clone();
        let back = async {
            let candidate = self.read(Origin::Kept(wanted.files)).await?;
            let trigger = format!("rolled back to {} by the operator", wanted.number);
            let verdict = self.put(candidate, &trigger, Will::Insisted).await?;
            // Nothing but another file, or force, brings back what was left on purpose.
            if self.history().get(now).map(|one| &one.files) != Some(&wanted_files) {
                self.refuse(now, &trigger);
            }
            Ok(verdict)
        };
        back.await
            .unwrap_or_else(|Refused(report)| Verdict::refused(report))
    }
}

impl Reloader {
    /// Puts it into effect, and says so where the file on disk is another one.
    async fn put(
        &self,
        candidate: Candidate,
        trigger: &str,
        will: Will,
    ) -> Result<Verdict, Refused> {
        let candidate = Arc::new(candidate);
        let taken = self.take(Arc::clone(&candidate), trigger, will);
        let generation = taken.await?;
        let disk = self.disk(&self.current()).await;
        self.running.note_refusal((!disk.same).then(|| Refusal {
            since: generation.since,
            report: format!(
                "the file on disk is not what runs: generation {} was {trigger}\n",
                generation.number
            ),
        }));
        let number = Some(generation.number);
        Ok(fine(&candidate, generation.changes, number))
    }

    /// How the file on disk stands to what runs.
    async fn disk(&self, current: &Arc<Candidate>) -> Disk {
        match self.read(Origin::Disk).await {
            Ok(disk) if disk.files == current.files => Disk {
                same: true,
                changes: Vec::new(),
                refused: None,
            },
            Ok(disk) => {
                let refused = self.not_taken_back(&disk).err();
                Disk {
                    same: false,
                    changes: self.changes(&Arc::new(disk)).await,
                    refused: refused.map(|Refused(why)| why),
                }
            }
            Err(Unreadable { report, .. }) => Disk {
                same: false,
                changes: Vec::new(),
                refused: Some(report),
            },
        }
    }
}

fn fine(candidate: &Candidate, changes: Vec<String>, generation: Option<u64>) -> Verdict {
    Verdict {
        ok: true,
        generation,
        changes,
        tests: candidate.tests,
        report: candidate.warnings(),
    }
}
