//! How it goes with a service that tells what changes: conversations that begin with a look at everything, and end some day.
//!
//! A proxy in between ends them after a while, which is no trouble. One that ends at once and told nothing is of no use: after
//! the second in a row that is told, and they are begun less and less often. What each of them finds at its beginning holds.

use std::time::Duration;

use tokio::time::Instant;

use crate::upstream::ServerSpec;
use crate::upstream::discover::followed::Feed;

/// The conversations with a service.
#[derive(Debug)]
pub(in crate::upstream::discover) struct Course {
    /// Before the next one.
    pause: Duration,
    /// Since when the one of now finds who is there.
    since: Option<Instant>,
    /// It told a change.
    told: bool,
    /// How many ended at once, one after the other.
    in_vain: u32,
    /// What is wrong with them.
    trouble: Option<String>,
}

impl Default for Course {
    fn default() -> Self {
        Self {
            pause: Self::LEAST,
            since: None,
            told: false,
            in_vain: 0,
            trouble: None,
        }
    }
}

impl Course {
    const LEAST: Duration = Duration::from_millis(250);
    /// Also how long one lasts that is of use.
    const MOST: Duration = Duration::from_secs(8);

    /// These are all, at this moment.
    pub(in crate::upstream::discover) fn found(
        &mut self,
        feed: &Feed<ServerSpec>,
        servers: Vec<ServerSpec>,
    ) {
        let since = *self.since.get_or_insert_with(Instant::now);
        if self.told || since.elapsed() >= Self::MOST {
            self.is_of_use();
        }
        feed.servers(servers, self.trouble.clone());
    }

    /// Whether the conversation told a change just now.
    pub(in crate::upstream::discover) fn told(&mut self, change: bool) -> bool {
        self.told |= change;
        change
    }

    /// How long changes may be waited for, where everything is looked at so often.
    pub(in crate::upstream::discover) fn longest(&self, refresh: Duration) -> Duration {
        match self.trouble {
            // It is told soon that it is over.
            Some(_) => refresh.min(Self::MOST),
            None => refresh,
        }
    }

    /// The conversation is over. Whether it had found anything out.
    pub(in crate::upstream::discover) fn ended(
        &mut self,
        feed: &Feed<ServerSpec>,
        why: &str,
    ) -> bool {
        let Some(since) = self.since.take() else {
            return false;
        };
        if std::mem::take(&mut self.told) || since.elapsed() >= Self::MOST {
            self.is_of_use();
        } else {
            self.in_vain = self.in_vain.saturating_add(1);
        }
        if self.in_vain > 1 {
            let trouble = format!("tells no changes: {why}");
            self.trouble = Some(trouble.clone());
            feed.failed(trouble);
        }
        true
    }

    /// Before the next one; longer each time that it is of no use.
    pub(in crate::upstream::discover) async fn pause(&mut self) {
        let pause = self.next_pause();
        // Up to half of it is left to chance: proxies that lost a service together do not come back together.
        tokio::time::sleep(pause.mul_f64(1.0 - fastrand::f64() / 2.0)).await;
    }

    fn next_pause(&mut self) -> Duration {
        let longer = self.pause.saturating_mul(2).min(Self::MOST);
        std::mem::replace(&mut self.pause, longer)
    }

    fn is_of_use(&mut self) {
        (self.pause, self.in_vain, self.trouble) = (Self::LEAST, 0, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::discover::Servers;
    use crate::upstream::discover::followed::Followed;
    use std::sync::Arc;

    fn feed() -> (Arc<Servers>, Feed<ServerSpec>) {
        let mut feed = None;
        let followed = Followed::start("it".to_owned(), None, |given| {
            feed = Some(given);
            std::future::pending()
        });
        (followed, feed.unwrap())
    }

    fn trouble(followed: &Servers) -> Option<String> {
        followed.report().trouble.map(|trouble| trouble.what)
    }

    #[tokio::test]
    async fn conversations_that_end_at_once_are_trouble_until_one_is_of_use() {
        let (followed, feed) = feed();
        let mut course = Course::default();
        let mut pauses = Vec::new();
        for count in 1..=8 {
            course.found(&feed, Vec::new());
            // What it finds does not make it well.
            assert_eq!(trouble(&followed).is_some(), count > 2);
            assert!(course.ended(&feed, "cut"));
            assert_eq!(trouble(&followed).is_some(), count > 1);
            pauses.push(course.next_pause().as_millis());
        }
        assert_eq!(pauses, [250, 500, 1000, 2000, 4000, 8000, 8000, 8000]);
        let told = trouble(&followed);
        assert_eq!(told.as_deref(), Some("tells no changes: cut"));
        course.found(&feed, Vec::new());
        assert!(!course.told(false) && course.told(true) && !course.told(false));
        course.found(&feed, Vec::new());
        assert_eq!(trouble(&followed), None);
        assert!(course.ended(&feed, "cut"));
        assert_eq!(trouble(&followed), None);
        assert_eq!(course.next_pause(), Course::LEAST);
    }

    #[tokio::test]
    async fn one_that_lasted_is_of_use_and_one_that_found_nothing_out_is_none() {
        let (followed, feed) = feed();
        let mut course = Course::default();
        for _ in 0..2 {
            course.found(&feed, Vec::new());
            assert!(course.ended(&feed, "cut"));
        }
        assert!(!course.ended(&feed, "refused"));
        assert!(trouble(&followed).is_some());
        assert_eq!(course.longest(Duration::from_secs(60)), Course::MOST);
        course.since = Instant::now().checked_sub(Course::MOST);
        course.found(&feed, Vec::new());
        assert_eq!(trouble(&followed), None);
        assert!(course.ended(&feed, "cut"));
        assert_eq!(course.next_pause(), Course::LEAST);
    }
}
