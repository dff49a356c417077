//! What was released is kept for a while: a broker that forgets, or an HQ that does, gets it once more.
//!
//! 1. Kept is what stands in the store before the first event that was not released. Nothing else says what is kept, so
//!    nothing can contradict it.
//! 2. It has an eighth of the store's bound (sled takes about twice that on the card), and only what the queue leaves
//!    of the events' bound; on a full card nothing is kept. The oldest goes first, whole chunks at a time.
//! 3. What was released [`KEPT_DAYS`] ago by the calendar is not given to anyone any more.
//! 4. To remove it writes nothing of its own: it leaves in the batches of releases, and of commits that need its room.
//!
//! Deliberately absent: any promise. What is kept was delivered; losing it loses nothing.

use std::collections::BTreeMap;

use chrono::{DateTime, Days, NaiveDate, Utc};

use super::{
    Outbox, OutboxError, Writer,
    engine::apply,
    layout::{self, ChunkHead},
    read_chunk_at,
};

/// How long what was released is kept, in days.
pub const KEPT_DAYS: u64 = 7;

/// Chunks that a release removes at most beside those that it releases itself.
pub(super) const GONE_CHUNKS_MAX: usize = 256;

/// A clock that shows less is not set; what it says of days is not believed.
const FIRST_DAY: NaiveDate = NaiveDate::from_ymd_opt(2026, 1, 1).expect("a day of the calendar");

/// What the oldest chunks of the store are, and how much of it went before them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Removed {
    /// The stored number before the oldest chunk's first.
    pub through: u64,
    /// Stored bytes of chunks that were removed, over the store's life.
    pub bytes: u64,
}

/// What of the kept events may stay.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stay {
    /// The events up to here were released …
    pub released: u64,
    /// … and so many bytes of chunks with them, over the store's life.
    pub released_bytes: u64,
    /// So many of these bytes may stay.
    pub most_bytes: u64,
    /// Nothing up to this number may.
    pub aged: u64,
}

/// Adds the removal of what may not stay to a batch, at most so many chunks; gives where the store begins then.
pub(super) fn give_way(
    tree: &sled::Tree,
    from: Removed,
    stay: Stay,
    most_chunks: usize,
    batch: &mut sled::Batch,
) -> Result<Removed, OutboxError> {
    let mut removed = from;
    let mut chunks = 0;
    let fits = |removed: Removed| stay.released_bytes.saturating_sub(removed.bytes) <= stay.most_bytes;
    if fits(removed) && removed.through >= stay.aged {
        return Ok(removed);
    }
    for row in tree.range(layout::chunk_key(from.through + 1, 0)..=layout::chunk_key(stay.released, u16::MAX)) {
        let (key, value) = row?;
        let Some((first, part)) = layout::read_chunk_key(&key) else { continue };
        if part == 0 {
            // What cannot be read of it says nothing of its bytes; the next chunk does.
            let head = ChunkHead::read(first, &value);
            let last = head.map_or(first, |head| head.last());
            let goes = last <= stay.released && (last <= stay.aged || !fits(removed));
            if !goes || chunks == most_chunks {
                return Ok(removed);
            }
            chunks += 1;
            removed = Removed { through: last, bytes: head.map_or(removed.bytes, |head| head.cumulative_bytes) };
        }
        batch.remove(&*key);
    }
    // All of it goes, also what of it could not be found.
    Ok(Removed { through: stay.released, bytes: stay.released_bytes })
}

/// The stored number after which every event can be read up to those that were not released, and the bytes of the
/// chunks up to it: where a stream begins that takes everything along.
pub(super) fn first_readable(tree: &sled::Tree, writer: &Writer) -> Result<(u64, u64), OutboxError> {
    let Removed { through: mut before, mut bytes } = writer.removed;
    let mut next = before + 1;
    while next <= writer.meta.released {
        let chunk = match read_chunk_at(tree, next) {
            Err(OutboxError::Damaged(_)) => None,
            chunk => chunk?,
        };
        if let Some((head, _)) = chunk {
            next = head.last() + 1;
            continue;
        }
        // A hole among what was delivered is no damage, but no stream may have it: it begins behind it.
        let rest = tree.range(layout::chunk_key(next + 1, 0)..=layout::chunk_key(writer.meta.released, u16::MAX));
        let mut heads = rest.filter_map(|row| {
            let (key, value) = row.ok()?;
            let (first, part) = layout::read_chunk_key(&key)?;
            (part == 0).then(|| ChunkHead::read(first, &value)).flatten()
        });
        let Some(head) = heads.next() else { return Ok((writer.meta.released, writer.released_bytes)) };
        (next, before, bytes) = (head.first, head.first - 1, head.bytes_before());
    }
    Ok((before, bytes))
}

/// Notes up to which number was released today. Days that a clock showed which was ahead are not believed any more;
/// while it is not set they go on.
pub(super) fn note(released_on: &mut BTreeMap<NaiveDate, u64>, now: DateTime<Utc>, through: u64) {
    let today = now.date_naive();
    if today < FIRST_DAY {
        if let Some(mut last) = released_on.last_entry() {
            last.insert(through);
        }
        return;
    }
    released_on.retain(|day, _| *day <= today);
    released_on.insert(today, through);
    // Of the days that are over one says it all.
    let over = released_on.keys().copied().filter(|day| is_over(*day, today)).max();
    released_on.retain(|day, _| Some(*day) >= over);
}

/// The number up to which everything was released too long ago.
pub(super) fn aged(released_on: &BTreeMap<NaiveDate, u64>, now: DateTime<Utc>) -> u64 {
    let today = now.date_naive();
    released_on.iter().filter(|(day, _)| is_over(**day, today)).map(|(_, through)| *through).max().unwrap_or(0)
}

fn is_over(day: NaiveDate, today: NaiveDate) -> bool {
    day.checked_add_days(Days::new(KEPT_DAYS)).is_some_and(|end| end <= today)
}

impl Writer {
    /// Bytes that released events take.
    pub(super) fn kept_bytes(&self) -> u64 {
        self.released_bytes.saturating_sub(self.removed.bytes)
    }

    /// The stored number of the running stream's first event that can still be read.
    pub(super) fn first_kept(&self) -> u64 {
        let gone = self.removed.through.max(aged(&self.meta.released_on, self.now)).min(self.meta.released);
        gone.max(self.meta.base) + 1
    }
}

impl Outbox {
    /// Forgets what was released and is kept: before the store becomes another shop's, for whose HQ it is not meant.
    ///
    /// # Errors
    /// The store fails.
    pub fn forget_kept(&self) -> Result<(), OutboxError> {
        self.writing(|writer| self.keep_at_most(writer, 0))
    }

    /// Bytes that may be kept beside so many that are queued.
    pub(super) fn kept_most_bytes(&self, queued_bytes: u64) -> u64 {
        if self.level().card_full {
            return 0;
        }
        (self.options.max_bytes / 8).min(self.limit_bytes().saturating_sub(queued_bytes))
    }

    /// Removes what is kept until so many bytes of it are left.
    pub(super) fn keep_at_most(&self, writer: &mut Writer, most_bytes: u64) -> Result<(), OutboxError> {
        let db = self.db();
        let tree = super::open_db(db.as_ref())?;
        let stay = Stay { released: writer.meta.released, released_bytes: writer.released_bytes, most_bytes, aged: 0 };
        loop {
            let mut batch = sled::Batch::default();
            let removed = give_way(tree, writer.removed, stay, GONE_CHUNKS_MAX, &mut batch)?;
            if removed == writer.removed {
                self.publish_level(writer);
                return Ok(());
            }
            apply(tree, batch)?;
            writer.removed = removed;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> DateTime<Utc> {
        format!("{text}T12:00:00Z").parse().unwrap()
    }

    #[test]
    fn days_are_noted_and_bounded() {
        let mut noted = BTreeMap::new();
        for (offset, through) in (0..400).zip(1..) {
            note(&mut noted, day("2026-03-01") + chrono::TimeDelta::days(offset), through);
            assert!(noted.len() <= 8, "{noted:?}");
            let now = day("2026-03-01") + chrono::TimeDelta::days(offset);
            assert_eq!(aged(&noted, now), through.saturating_sub(7));
        }
    }

    #[test]
    fn a_clock_that_is_not_set_says_nothing() {
        let mut noted = BTreeMap::new();
        note(&mut noted, day("1970-01-01"), 5);
        assert!(noted.is_empty());
        note(&mut noted, day("2026-03-01"), 9);
        // The box starts without its clock, and gets it.
        note(&mut noted, day("1970-01-01"), 12);
        assert_eq!((aged(&noted, day("1970-01-01")), aged(&noted, day("2026-03-02"))), (0, 0));
        note(&mut noted, day("2026-03-02"), 15);
        assert_eq!(aged(&noted, day("2026-03-07")), 0);
        assert_eq!(aged(&noted, day("2026-03-08")), 12);
        assert_eq!(aged(&noted, day("2026-03-09")), 15);
    }

    #[test]
    fn a_clock_that_was_ahead_is_not_believed_once_it_is_right() {
        let mut noted = BTreeMap::new();
        note(&mut noted, day("2026-03-01"), 5);
        note(&mut noted, day("2027-03-01"), 9);
        note(&mut noted, day("2026-03-02"), 12);
        assert_eq!(aged(&noted, day("2026-03-07")), 0);
        assert_eq!(aged(&noted, day("2026-03-09")), 12);
    }
}
