//! Provisioning: at each boot, before the daemon starts, the config is taken from the boot partition of the card, which
//! every computer can write.
//!
//! - It is checked as `tillbox check` does. A faulty one stays where it is, with a report beside it that names every
//!   fault; the box goes on with the config that it has.
//! - A right one, and the files beside it that it names, become the daemon's own, and are erased from the partition,
//!   whose files everybody reads.
//! - Power may be cut at any moment: one copy is always whole, and the next boot goes on. See `place`.
//!
//! Deliberately absent: anything from the network, and any part of a config. One file says it all.

mod boot;
mod place;
mod report;

use std::{
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

use chrono::{DateTime, SubsecRound as _, Utc};
use ring::digest::{Context, SHA256};

pub use self::report::REPORT;
use self::{
    boot::{Found, NAME},
    place::Piece,
    report::Report,
};
use crate::{
    config::{Arrival, Config, is_remains_of},
    instant,
    plain::Plain,
    texts::report as words,
};

/// Beside the config: the digest of what was taken over from a partition that could not be erased.
const TAKEN: &str = ".taken-over";

/// In the run-time folder: one line for the daemon, while the partition holds a config that was refused.
const REFUSED: &str = "provisioning-refused";

/// Where things are.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where a boot partition may be mounted.
    pub boots: Vec<PathBuf>,
    /// Where the config belongs.
    pub config: PathBuf,
    /// To whom it belongs, if there is such a user.
    pub user: String,
    /// The folder, emptied at each boot, by which the daemon is told; systemd names it to both.
    pub runtime: Option<PathBuf>,
}

/// What came of it; each but the first with lines for the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// There was nothing to do.
    Nothing,
    /// A config was taken over.
    TakenOver(String),
    /// It must be corrected first.
    Refused(String),
    /// It is right, and the box could not store it.
    NotStored(String),
}

/// Does all of it, once.
#[must_use]
pub fn provision(options: &Options, now: DateTime<Utc>) -> Outcome {
    // What an interrupted start left goes, whatever stands on the partition now.
    let _told_when_something_is_to_be_stored = place::sweep(options.folder());
    let (boot, outcome) = match boot::find(&options.boots) {
        Found::Nothing => return options.told(Outcome::Nothing),
        Found::Misnamed(boot, names) => {
            let advice = "is not the config's name; rename it to tillbox.toml. (Windows hides endings: in the \
                          Explorer, View, switch on \"File name extensions\" to see them.)";
            let lines: Vec<_> = names.iter().map(|name| format!("{}: {advice}", Plain(name))).collect();
            (boot, Outcome::Refused(lines.join("\n")))
        }
        Found::Config(path) => {
            let boot = path.parent().unwrap_or(Path::new("")).to_owned();
            (boot, take(options, &path, now))
        }
    };
    let report = match &outcome {
        Outcome::Nothing | Outcome::TakenOver(_) => return options.told(outcome),
        Outcome::Refused(text) => {
            let meanwhile = if options.config.exists() { words::GOES_ON } else { words::HAS_NONE };
            Report::of(&[words::REFUSED, meanwhile]).with(text)
        }
        Outcome::NotStored(text) => Report::of(&[words::NOT_STORED]).with(text),
    };
    let unwritten = report.write(&boot).err().map(|error| no_report(&boot, &error));
    options.told(outcome.with(unwritten.as_deref().unwrap_or_default()))
}

/// What the last start of `tillbox provision` refused, if it did.
#[must_use]
pub fn refused(runtime: &Path) -> Option<String> {
    fs::read_to_string(runtime.join(REFUSED)).ok().map(|text| text.trim().to_owned())
}

/// Checks a config, and takes it over if it is right.
fn take(options: &Options, path: &Path, now: DateTime<Utc>) -> Outcome {
    let boot = path.parent().unwrap_or(Path::new(""));
    if is_being_erased(path, &options.config) {
        // It was taken over, and the power went while it was erased; the files beside it went before it.
        return match place::erase(path) {
            Ok(()) => Outcome::TakenOver("the rest of a config that was taken over before is erased".to_owned()),
            Err(error) => Outcome::TakenOver(not_erased(path, &error)),
        };
    }
    let (config, text, beside) = match Config::load_arriving(path, &options.config) {
        Ok(arrived) => arrived,
        Err(faults) => return Outcome::Refused(faults.named(Path::new(NAME)).shown().to_string()),
    };
    let name = options.config.file_name().map_or(NAME.into(), |name| name.to_string_lossy().into_owned());
    let mut pieces: Vec<Piece> = Vec::new();
    for (companion, _) in beside.iter().filter(|(_, arrival)| **arrival == Arrival::Whole) {
        match fs::read(boot.join(companion)) {
            Ok(bytes) => pieces.push((companion.clone(), bytes)),
            Err(error) => return Outcome::NotStored(format!("{companion} cannot be read: {error}")),
        }
    }
    pieces.push((name, text.into_bytes()));

    let digest = digest(&pieces.iter().collect::<Vec<_>>());
    let taken = options.folder().join(TAKEN);
    // A partition that cannot be erased shows the same config at each boot: what was changed in its place since counts.
    let known = fs::read_to_string(&taken).is_ok_and(|known| known.trim() == digest);
    if !known {
        if let Err(error) = place::put(options.folder(), &pieces, place::owner(&options.user)) {
            return Outcome::NotStored(format!("{}: {error}; {}", options.folder().display(), remedy(&error)));
        }
        // Nothing is erased before it is seen that the daemon can go by what stands there now.
        if let Err(faults) = Config::load(&options.config) {
            return Outcome::NotStored(faults.to_string());
        }
    }
    let summary = config.summary();
    let carried: Vec<&str> = beside.keys().map(String::as_str).collect();
    finish(options, path, &carried, &summary, now, &pieces)
}

/// Erases what was taken over and leaves the good news: the news before the config goes, so that a cut in between does
/// not leave an old report alone on the partition.
fn finish(
    options: &Options,
    path: &Path,
    carried: &[&str],
    summary: &str,
    now: DateTime<Utc>,
    pieces: &[Piece],
) -> Outcome {
    let boot = path.parent().unwrap_or(Path::new(""));
    let carried_text = if carried.is_empty() { String::new() } else { format!("\nwith {}", carried.join(", ")) };
    let detail = format!(
        "taken over at {} (by the box's clock, which may be wrong before it reaches the network){carried_text}\n\n{}",
        instant::text_utc(now.trunc_subsecs(0)),
        summary.trim_end()
    );
    let news = || Report::of(&[words::TAKEN_OVER, words::ERASED]).with(&detail).write(boot);
    // The files beside the config go first: only the config tells their names.
    let beside = carried.iter().map(|name| boot.join(name));
    let mut erased = beside.map(|file| place::erase(&file).map_err(|error| not_erased(&file, &error)));
    let erased = erased.find(Result::is_err).unwrap_or(Ok(())).and_then(|()| {
        let unwritten = news().err();
        place::erase(path).map_err(|error| not_erased(path, &error))?;
        Ok(unwritten)
    });
    let taken = options.folder().join(TAKEN);
    let mut text = vec![format!("the config of {} is taken over{carried_text}", path.display())];
    match erased {
        Ok(unwritten) => {
            let _not_there_as_a_rule = fs::remove_file(&taken);
            text.extend(unwritten.map(|error| no_report(boot, &error)));
        }
        Err(stays) => {
            // Some of it may be gone: what will be found there at the next start is what is known then.
            let there = |(name, _): &&Piece| !carried.contains(&name.as_str()) || boot.join(name).exists();
            let left = digest(&pieces.iter().filter(there).collect::<Vec<_>>());
            let marked = place::put(options.folder(), &[(TAKEN.to_owned(), left.into_bytes())], None);
            let names = [carried, &[NAME]].concat().join("\n");
            let report = Report::of(&[words::TAKEN_OVER, words::STAYS]).with(&names).with(&detail);
            text.push(stays);
            text.extend(report.write(boot).err().map(|error| no_report(boot, &error)));
            text.extend(marked.err().map(|error| format!("that it was taken over cannot be noted: {error}")));
        }
    }
    Outcome::TakenOver(text.join("\n"))
}

impl Options {
    fn folder(&self) -> &Path {
        self.config.parent().unwrap_or(Path::new(""))
    }

    /// Tells the daemon.
    fn told(&self, outcome: Outcome) -> Outcome {
        let Some(runtime) = &self.runtime else { return outcome };
        let mark = runtime.join(REFUSED);
        let told = match &outcome {
            Outcome::Refused(text) | Outcome::NotStored(text) => {
                // What begins with a blank is a line of the config, shown below its fault.
                let faults = text.lines().filter(|line| !line.starts_with(' '));
                let (first, more) = (text.lines().next().unwrap_or_default(), faults.count().saturating_sub(1));
                let more = if more > 0 { format!(" (and {more} more in {REPORT})") } else { String::new() };
                let text = format!("the config on the boot partition was not taken over: {first}{more}\n");
                // The folder is the daemon's: nothing that lies there is written through.
                place::put(runtime, &[(REFUSED.to_owned(), text.into_bytes())], place::owner(&self.user))
            }
            Outcome::Nothing | Outcome::TakenOver(_) => fs::remove_file(&mark).or_else(|error| match error.kind() {
                io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            }),
        };
        match told {
            Ok(()) => outcome,
            Err(error) => outcome.with(&format!("the daemon cannot be told by {}: {error}", mark.display())),
        }
    }
}

impl Outcome {
    /// With one more line.
    fn with(self, line: &str) -> Self {
        let longer = |text: String| if line.is_empty() { text } else { format!("{}\n{line}", text.trim_end()) };
        match self {
            Self::Nothing => Self::Nothing,
            Self::TakenOver(text) => Self::TakenOver(longer(text)),
            Self::Refused(text) => Self::Refused(longer(text)),
            Self::NotStored(text) => Self::NotStored(longer(text)),
        }
    }
}

fn is_being_erased(path: &Path, place: &Path) -> bool {
    let length = fs::metadata(path).map_or(u64::MAX, |metadata| metadata.len());
    // No file of another length can be it; a huge one is not read for nothing.
    fs::metadata(place).is_ok_and(|placed| placed.len() == length)
        && fs::read(path).is_ok_and(|bytes| is_remains_of(&bytes, place))
}

fn digest(pieces: &[&Piece]) -> String {
    let mut context = Context::new(&SHA256);
    for (name, bytes) in pieces {
        for part in [name.as_bytes(), bytes] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
    }
    context.finish().as_ref().iter().fold(String::new(), |mut text, byte| {
        let _a_string_takes_all = write!(text, "{byte:02x}");
        text
    })
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull => "make room on the card, or take a larger one",
        io::ErrorKind::ReadOnlyFilesystem => "the card can only be read: mount it writable, or take another one",
        _ => "the card may be failing; try another one",
    }
}

fn not_erased(path: &Path, error: &io::Error) -> String {
    format!(
        "{} cannot be erased: {error}; secrets in it stay readable on the boot partition: delete it by hand",
        path.display()
    )
}

fn no_report(boot: &Path, error: &io::Error) -> String {
    format!("{} cannot be written: {error}", boot.join(REPORT).display())
}

#[cfg(test)]
mod tests;
