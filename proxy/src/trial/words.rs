//! An explanation for people.

use std::fmt::{self, Display, Formatter, Write as _};

use super::explain::{Candidate, Ending, Explanation, Message, Outcome, Target};

/// Of the routes that do not take it, so many are shown.
const REFUSED_MAX: usize = 10;

impl Display for Explanation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let request = &self.request;
        let query = request.query.as_ref();
        let query = query.map(|query| format!("?{query}")).unwrap_or_default();
        writeln!(
            f,
            "{} {}{query}, host {}, from {}",
            request.method, request.path, request.host, request.client
        )?;
        self.verdict(f)?;
        self.routes(f)?;
        self.filters(f)?;
        self.end(f)?;
        if let Some(sent) = &self.sent {
            section(f, "the server is sent")?;
            message(f, sent)?;
        }
        if let Some(answer) = &self.answer {
            let title = match self.sent {
                Some(_) => "the client gets, if the server answers 200 without fields",
                None => "the client gets",
            };
            section(f, title)?;
            message(f, answer)?;
        }
        Ok(())
    }
}

impl Explanation {
    fn verdict(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match (&self.route, &self.refused) {
            (Some(route), None) => writeln!(f, "takes route {route}"),
            (Some(route), Some(why)) => writeln!(f, "takes route {route} and is refused: {why}"),
            (None, Some(why)) => writeln!(f, "is refused: {why}"),
            (None, None) => writeln!(f, "no route takes it"),
        }
    }

    fn routes(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.considered.is_empty() {
            return Ok(());
        }
        section(f, "routes")?;
        let takers = self.considered.iter();
        let takers = takers.filter(|one| one.verdict != Outcome::No).count();
        let shown = takers + REFUSED_MAX;
        let width = self.considered.iter().take(shown);
        let width = width.map(|one| one.route.len()).max().unwrap_or_default();
        for one in self.considered.iter().take(shown) {
            candidate(f, one, width)?;
        }
        let more = self.considered.len().saturating_sub(shown) + self.not_shown;
        if more > 0 {
            writeln!(f, "  and {more} more that do not take it")?;
        }
        Ok(())
    }

    fn filters(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.filters.is_empty() {
            return Ok(());
        }
        section(f, "filters")?;
        for (position, step) in self.filters.iter().enumerate() {
            let mut does: Vec<String> = step.changes.clone();
            does.extend(step.says.clone());
            let answer = step.changes_answer.iter();
            does.extend(answer.map(|change| format!("on the way back: {change}")));
            if !step.reached {
                does.push("not reached".to_owned());
            } else if does.is_empty() {
                does.push("nothing to do".to_owned());
            }
            for (line, what) in does.iter().enumerate() {
                match line {
                    0 => writeln!(f, "  {} {:<18} {what}", position + 1, step.filter)?,
                    _ => writeln!(f, "    {:<18} {what}", "")?,
                }
            }
        }
        Ok(())
    }

    fn end(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.end {
            Some(Ending::Upstream(target)) => servers(f, target, ""),
            Some(Ending::Split {
                arms,
                chosen,
                sticky,
            }) => {
                for (arm, (target, share)) in arms.iter().enumerate() {
                    let mut note = format!(", share {share}");
                    if arm == *chosen {
                        note += if *sticky {
                            ": gets it, by what the request says"
                        } else {
                            ": gets it, it is its turn"
                        };
                    }
                    servers(f, target, &note)?;
                }
                Ok(())
            }
            Some(Ending::Redirect | Ending::Respond) | None => Ok(()),
        }
    }
}

fn section(f: &mut Formatter<'_>, title: &str) -> fmt::Result {
    write!(f, "\n{title}\n")
}

fn candidate(f: &mut Formatter<'_>, one: &Candidate, width: usize) -> fmt::Result {
    let mark = match one.verdict {
        Outcome::Takes => "takes it",
        Outcome::Later => "later",
        Outcome::No => "no",
    };
    write!(f, "  {:<width$}  {mark:<8}  {}", one.route, one.asks)?;
    match &one.reason {
        Some(reason) => writeln!(f, "\n  {:<width$}            {reason}", ""),
        None => writeln!(f),
    }
}

fn servers(f: &mut Formatter<'_>, target: &Target, note: &str) -> fmt::Result {
    section(f, &format!("upstream {}{note}", target.upstream))?;
    if target.servers.is_empty() {
        return writeln!(f, "  no server is known");
    }
    let width = target.servers.iter().map(|server| server.address.len());
    let width = width.max().unwrap_or_default();
    for server in &target.servers {
        let mut state = server.health.clone().unwrap_or_default();
        if let Some(reason) = &server.reason {
            let _ = write!(state, " ({reason})");
        }
        if let Some(ejected) = &server.ejected {
            let _ = write!(state, ", ejected ({ejected})");
        }
        if let Some(in_flight) = server.in_flight {
            let _ = write!(state, ", {in_flight} in flight");
        }
        if server.weight != 1 {
            let _ = write!(state, ", weight {}", server.weight);
        }
        if server.next {
            state.push_str(", next");
        }
        let state = state.trim_start_matches(", ");
        let line = format!("  {:<width$}  {state}", server.address);
        writeln!(f, "{}", line.trim_end())?;
    }
    Ok(())
}

fn message(f: &mut Formatter<'_>, message: &Message) -> fmt::Result {
    writeln!(f, "  {}", message.line)?;
    for (name, value) in &message.headers {
        writeln!(f, "  {name}: {value}")?;
    }
    match message.body.as_deref() {
        None | Some("") => Ok(()),
        Some(body) => {
            writeln!(f)?;
            body.lines().try_for_each(|line| writeln!(f, "  {line}"))
        }
    }
}
