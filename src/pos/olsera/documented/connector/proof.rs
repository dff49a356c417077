//! What an answer or a walk proves: gaps that open and close, the target that was reached, rows that are gone.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};

use super::{AHEAD, Documented, RECENT, is_ours};
use crate::{
    gap::{Gap, GapReason},
    pos::connector::RESCAN_HORIZON,
    transaction::Resource,
};

impl Documented {
    pub(super) fn reached_target(&mut self) {
        self.cursor.back = false;
        self.cursor.since = Some(self.cursor.since.map_or(self.cursor.target, |since| since.min(self.cursor.target)));
    }

    /// What lies between the target and here cannot be had: a gap for good.
    pub(super) fn give_up_before(&mut self, here: Option<DateTime<Utc>>) -> Option<Gap> {
        self.cursor.back = false;
        let behind = self.open_gaps.iter().filter(|gap| gap.reason == GapReason::BehindHistory);
        let earliest = behind.map(|gap| gap.from).min();
        let (from, to) = (self.cursor.target, earliest.into_iter().chain(here).min()?);
        self.open_gap(Gap { from, to, reason: GapReason::BehindHistory })
    }

    pub(super) fn open_gap(&mut self, gap: Gap) -> Option<Gap> {
        if gap.from >= gap.to || self.open_gaps.contains(&gap) {
            return None;
        }
        self.open_gaps.push(gap.clone());
        Some(gap)
    }

    /// Everything since `from` was shown.
    pub(super) fn close_gaps(&mut self, from: Option<DateTime<Utc>>) -> Vec<Gap> {
        let Some(from) = from else { return Vec::new() };
        self.open_gaps.extract_if(.., |gap| is_ours(gap) && from <= gap.from).collect()
    }

    /// Stored rows since `from` that are not among those shown, at two looks.
    pub(super) fn vanished(
        &mut self,
        from: DateTime<Utc>,
        shown: &HashSet<String>,
        to: DateTime<Utc>,
    ) -> Vec<(Resource, String)> {
        let from = from.max(to - RESCAN_HORIZON);
        let stored = self.memory.between(from, to).into_iter();
        let lacks = stored.filter(|known| !known.vanished && !shown.contains(&known.external_id));
        let lacks: BTreeMap<_, _> = lacks.map(|known| (known.external_id, known.at)).collect();
        // What lies before `from` was not looked for, and waits.
        let mut gone = Vec::new();
        for (id, at) in lacks {
            match self.missing.get(&id) {
                Some((since, _)) if to - *since >= RECENT.1 - AHEAD => gone.push((Resource::Transaction, id)),
                Some(_) => {}
                None => {
                    self.missing.insert(id, (to, at));
                }
            }
        }
        // Nor is it remembered for longer than it can be looked for.
        let waits = |id: &String, since: DateTime<Utc>| !shown.contains(id) && to - since < RECENT.0;
        self.missing.retain(|id, (since, _)| waits(id, *since) && !gone.iter().any(|(_, gone)| gone == id));
        gone
    }
}
