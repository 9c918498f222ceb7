//! A few questions, each with an answer that Enter gives, until there is one that can be used.

use std::fmt::Display;
use std::io::{self, BufRead, Write};
use std::str::FromStr;

use super::address;
use super::starter::{Answering, Starter};

/// Asks for everything; what is given already is what Enter answers.
///
/// # Errors
/// Nobody answers any more.
pub(super) fn all(
    given: &Starter,
    answers: &mut impl BufRead,
    questions: &mut impl Write,
) -> io::Result<Starter> {
    let mut dialogue = Dialogue { answers, questions };
    let listen = dialogue.one("Where do clients connect?", &given.listen, address)?;
    let upstreams = dialogue.upstreams()?;
    let admin = dialogue.one(
        "Where does the operator's side listen?",
        &given.admin,
        address,
    )?;
    Ok(Starter {
        listen,
        admin,
        upstreams,
    })
}

struct Dialogue<'d, A, Q> {
    answers: &'d mut A,
    questions: &'d mut Q,
}

impl<A: BufRead, Q: Write> Dialogue<'_, A, Q> {
    fn one<T: Clone + Display>(
        &mut self,
        question: &str,
        usual: &T,
        read: fn(&str) -> Result<T, String>,
    ) -> io::Result<T> {
        loop {
            let answer = self.ask(&format!("{question} [{usual}] "))?;
            if answer.is_empty() {
                return Ok(usual.clone());
            }
            match read(&answer) {
                Ok(value) => return Ok(value),
                Err(why) => writeln!(self.questions, "  {why}")?,
            }
        }
    }

    fn upstreams(&mut self) -> io::Result<Vec<Answering>> {
        writeln!(
            self.questions,
            "Who answers? NAME=HOST:PORT for all paths, NAME=HOST:PORT/PATH for those below one; Enter ends the list."
        )?;
        let mut upstreams = Vec::new();
        loop {
            let answer = self.ask("  ")?;
            match Answering::from_str(&answer) {
                _ if answer.is_empty() && !upstreams.is_empty() => return Ok(upstreams),
                Ok(upstream) => upstreams.push(upstream),
                Err(why) => writeln!(self.questions, "  {why}")?,
            }
        }
    }

    fn ask(&mut self, question: &str) -> io::Result<String> {
        write!(self.questions, "{question}")?;
        self.questions.flush()?;
        let mut answer = String::new();
        if self.answers.read_line(&mut answer)? == 0 {
            return Err(io::Error::other("nobody answers; nothing is written"));
        }
        Ok(answer.trim().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(answers: &str) -> (io::Result<Starter>, String) {
        let given = Starter {
            listen: "127.0.0.1:8080".parse().unwrap(),
            admin: "127.0.0.1:9901".parse().unwrap(),
            upstreams: Vec::new(),
        };
        let mut questions = Vec::new();
        let starter = all(&given, &mut answers.as_bytes(), &mut questions);
        (starter, String::from_utf8(questions).unwrap())
    }

    #[test]
    fn answers_make_a_file() {
        let (starter, questions) = asked("\napi=x:1/api\nsite=y:2\n\n127.0.0.1:9\n");
        let starter = starter.unwrap();
        assert_eq!((starter.listen.port(), starter.admin.port()), (8080, 9));
        assert!(starter.text().unwrap().contains("path_prefix: /api }"));
        assert!(questions.contains("[127.0.0.1:8080]"), "{questions}");
    }

    #[test]
    fn what_is_no_answer_is_asked_again() {
        let (starter, questions) = asked("80\n0.0.0.0:80\n\nx\napi=x:1\n\n\n");
        assert_eq!(starter.unwrap().listen.port(), 80);
        assert!(
            questions.contains("expected an address and a port"),
            "{questions}"
        );
        assert_eq!(questions.matches("expected NAME=HOST:PORT").count(), 2);
        assert!(
            asked("\napi=x:1\n").0.is_err(),
            "it ended before the last question"
        );
    }
}
