//! `tillbox outbox close-gap` and `dismiss`: a person ends what no machine can.

use std::process::ExitCode;

use tillbox::{
    by_hand::Statement,
    config::Config,
    inspect::{CLOSE_GAP, DISMISS, Question},
    instant::text_utc,
    outbox::Ended,
};

use super::{MISSING, TRY_AGAIN, USAGE, moving::give, say, told};

/// What is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// An open gap.
    Gap,
    /// A record that is put aside.
    Record,
}

/// A person's word.
pub struct Word {
    /// What it is about.
    pub what: What,
    /// Its handle, as `tillbox outbox gaps` shows it.
    pub handle: String,
    /// Who says so.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// Tells the running daemon, or the store.
pub fn end(config: &Config, word: &Word) -> ExitCode {
    let Word { what, handle, by, reason } = word;
    let by = match Statement::new(by, reason) {
        Ok(by) => by,
        Err(error) => {
            eprintln!("tillbox: {error}");
            return ExitCode::from(USAGE);
        }
    };
    let order = Question {
        ask: if *what == What::Gap { CLOSE_GAP } else { DISMISS }.to_owned(),
        handle: Some(handle.clone()),
        by: Some(by),
        ..Question::default()
    };
    let ended = match give(config, &order) {
        Ok(ordered) => ordered.ended.unwrap_or(Ended::Unknown),
        Err(code) => return code,
    };
    let (thing, done) = if *what == What::Gap { ("gap", "closed") } else { ("record", "dismissed") };
    match ended {
        Ended::Now => told(say(&format!(
            "The {thing} is {done}: headquarters is told, and the day is never called complete by it."
        ))),
        Ended::Before { by: Statement { name, reason }, at } => {
            told(say(&format!("The {thing} is {done} already, since {} by {name}: {reason}", text_utc(at))))
        }
        Ended::Unknown => {
            eprintln!(
                "tillbox: no {thing} that is open has the handle `{}`: `tillbox outbox gaps` lists them; one that is not \
                 there any more was proven or read meanwhile",
                handle.escape_debug()
            );
            ExitCode::from(MISSING)
        }
        Ended::NoRoom => {
            eprintln!(
                "tillbox: as many gaps of this connection as are remembered were closed by hand; tell headquarters what \
                 makes them, and try again in some weeks, when the oldest are forgotten"
            );
            ExitCode::from(TRY_AGAIN)
        }
    }
}
