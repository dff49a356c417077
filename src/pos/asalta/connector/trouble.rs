//! What keeps failing, and what is not to be relied on.

use chrono::{DateTime, TimeDelta, Utc};

use super::{super::requests, Asalta, TRY_AGAIN, Target};
use crate::{health::Condition, pos::connector::Yield};

/// A request that failed so often while others were answered is put off.
const FAILURES_MAX: u32 = 5;

/// From one failure of a request to its next try, times the failures before.
const FAILED_WAIT: TimeDelta = TimeDelta::seconds(15);

/// Requests that failed lately and are remembered.
const TROUBLES_MAX: usize = 256;

/// Failures of one request.
#[derive(Debug, Clone)]
pub(super) struct Trouble {
    count: u32,
    first: DateTime<Utc>,
    /// It is not asked again before.
    pub until: DateTime<Utc>,
    /// For a person, once it is put off.
    pub put_off: Option<String>,
}

impl Asalta {
    /// Whether a request failed before while others were answered: it is not the server that is in trouble, nor the line
    /// that cut an answer once.
    pub(super) fn fails_alone(&self, target: &Target) -> bool {
        self.troubles.get(target).is_some_and(|trouble| trouble.count >= 1 && self.answered >= trouble.first)
    }

    /// What makes the lists ones that prove nothing, for a person.
    pub(super) fn unreliable(&self) -> Option<String> {
        let lying = self
            .lists
            .iter()
            .filter_map(|list| Some(format!("asalta GET /pos/{}: {}", requests::name(list.resource), list.lies?)));
        let put_off = self.troubles.values().filter_map(|trouble| trouble.put_off.clone());
        let broken = self.lists.iter().filter_map(|list| {
            let fault = list.breaks.is_open()?;
            let name = requests::name(list.resource);
            Some(format!("asalta GET /pos/{name}: a record spoils the page at the list's end ({fault})"))
        });
        let mut all: Vec<String> = lying.chain(broken).chain(put_off).take(4).collect();
        all.dedup();
        (!all.is_empty()).then(|| all.join("; "))
    }

    pub(super) fn tell_unreliable(&mut self, found: &mut Yield) {
        let wrong = self.unreliable();
        let told = wrong.clone().unwrap_or_default();
        if self.told_unreliable.as_ref() != Some(&told) {
            found.conditions.push((Condition::ListUnreliable, wrong));
            self.told_unreliable = Some(told);
        }
    }

    /// What was put off and nobody asks for any more, is no trouble once its time has passed.
    pub(super) fn forget_troubles(&mut self, now: DateTime<Utc>) {
        let (fetches, days) = (&self.fetches, &self.report_days);
        self.troubles.retain(|target, trouble| match target {
            Target::One(resource, id) => {
                now < trouble.until || fetches.iter().any(|(of, one)| of == resource && one == id)
            }
            Target::Report(of) => now < trouble.until || days.contains(of),
            Target::Warehouses | Target::Page(..) | Target::Returns(..) => true,
        });
    }

    /// Counts a failure that may be of this request alone; whether it is put off for it.
    pub(super) fn count(&mut self, target: &Target, failure: &str, forbidden: bool, now: DateTime<Utc>) -> bool {
        if self.troubles.len() >= TROUBLES_MAX && !self.troubles.contains_key(target) {
            self.troubles.pop_first();
        }
        let answered = self.answered;
        let request = self.request(target).to_string();
        let trouble =
            self.troubles.entry(target.clone()).or_insert(Trouble { count: 0, first: now, until: now, put_off: None });
        trouble.count = trouble.count.saturating_add(1);
        // While nothing else is answered either, it is the server that is in trouble.
        let alone = answered >= trouble.first;
        if forbidden || trouble.count >= FAILURES_MAX && alone {
            trouble.put_off = Some(format!("asalta {request}: {failure}; it is asked again in an hour"));
            trouble.until = now + TRY_AGAIN;
            return true;
        }
        trouble.until = now + FAILED_WAIT * i32::try_from(trouble.count.min(4)).unwrap_or(4);
        false
    }
}
