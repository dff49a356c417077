//! What is not proven, each with the handle by which a person ends it: what `tillbox outbox gaps` shows.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{Summary, text};
use crate::{
    by_hand::{Statement, handle_of_gap, handle_of_record},
    gap::Gap,
    instant::{rfc3339_utc, text_utc},
    outbox::{Aside, ClosedGap},
};

/// How a person ends what is listed.
const HOW: &str = "`tillbox outbox close-gap HANDLE --by NAME --reason TEXT` closes a gap for good, and `tillbox outbox \
                   dismiss HANDLE --by NAME --reason TEXT` dismisses a record: headquarters is told, and the day is never \
                   called complete by it.";

/// What is not proven, and what persons ended.
#[derive(Debug, Serialize)]
pub struct Unproven<'a> {
    open_gaps: Vec<OpenGap<'a>>,
    put_aside: Vec<PutAside<'a>>,
    ended_by_hand: Vec<Ended<'a>>,
}

#[derive(Debug, Serialize)]
struct OpenGap<'a> {
    handle: String,
    connection: &'a str,
    #[serde(flatten)]
    gap: &'a Gap,
    needs_a_person: bool,
}

#[derive(Debug, Serialize)]
struct PutAside<'a> {
    handle: String,
    connection: &'a str,
    #[serde(flatten)]
    aside: &'a Aside,
}

#[derive(Debug, Serialize)]
struct Ended<'a> {
    handle: String,
    connection: &'a str,
    what: String,
    by: &'a Statement,
    #[serde(with = "rfc3339_utc")]
    at: DateTime<Utc>,
}

impl<'a> Unproven<'a> {
    /// What of a box's outbox is not proven.
    #[must_use]
    pub fn of(summary: &'a Summary) -> Self {
        let mut unproven = Self { open_gaps: Vec::new(), put_aside: Vec::new(), ended_by_hand: Vec::new() };
        for (connection, gap) in each(&summary.open_gaps) {
            let handle = handle_of_gap(connection, gap);
            unproven.open_gaps.push(OpenGap { handle, connection, gap, needs_a_person: gap.reason.needs_a_person() });
        }
        for (connection, ClosedGap { gap, closed_by, closed_at }) in each(&summary.closed_by_hand) {
            let (handle, what) = (handle_of_gap(connection, gap), gap_line(gap));
            unproven.ended_by_hand.push(Ended { handle, connection, what, by: closed_by, at: *closed_at });
        }
        for (connection, aside) in each(&summary.put_aside) {
            let handle = handle_of_record(connection, &aside.quarantined);
            match &aside.dismissed {
                None => unproven.put_aside.push(PutAside { handle, connection, aside }),
                Some(dismissed) => {
                    let what = text::record_line(aside);
                    unproven.ended_by_hand.push(Ended {
                        handle,
                        connection,
                        what,
                        by: &dismissed.by,
                        at: dismissed.at,
                    });
                }
            }
        }
        unproven
    }

    /// In lines, for a person.
    #[must_use]
    pub fn text(&self) -> String {
        let mut to = String::new();
        text::push(&mut to, &format!("not proven complete: {}", text::count(self.open_gaps.len() as u64, "gap")));
        for OpenGap { handle, connection, gap, needs_a_person } in &self.open_gaps {
            let ends = if *needs_a_person {
                "as a rule only a person can end it"
            } else {
                "the box asks for it again by itself"
            };
            text::push(&mut to, &format!("  {handle}  {connection}  {}: {ends}", gap_line(gap)));
        }
        to.push('\n');
        text::push(&mut to, &format!("put aside: {}", text::count(self.put_aside.len() as u64, "record")));
        for PutAside { handle, connection, aside } in &self.put_aside {
            text::push(&mut to, &format!("  {handle}  {connection}  {}", text::record_line(aside)));
        }
        if !self.ended_by_hand.is_empty() {
            to.push('\n');
            text::push(&mut to, "ended by hand, and not proven:");
        }
        for Ended { handle, connection, what, by, at } in &self.ended_by_hand {
            let (at, Statement { name, reason }) = (text_utc(*at), by);
            text::push(&mut to, &format!("  {handle}  {connection}  {what}; ended {at} by {name}: {reason}"));
        }
        if !(self.open_gaps.is_empty() && self.put_aside.is_empty()) {
            to.push('\n');
            text::push(&mut to, HOW);
        }
        to
    }
}

fn each<T>(by_connection: &BTreeMap<String, Vec<T>>) -> impl Iterator<Item = (&str, &T)> {
    by_connection.iter().flat_map(|(name, of)| of.iter().map(move |one| (name.as_str(), one)))
}

fn gap_line(gap: &Gap) -> String {
    format!("from {} to {}  {}", text_utc(gap.from), text_utc(gap.to), gap.reason.name())
}
