//! One commit: what a poll brought becomes numbered events, durable before anyone may see them.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};

use super::{
    Asides, ClosedGap, NOTICE_RESERVE_BYTES, Outbox, OutboxError, Writer, aside,
    by_hand::closed_key,
    engine::{apply, flush},
    kept::{self, Removed, Stay},
    layout::{self, ChunkHead, META, connection_key},
    meta::Meta,
    news::News,
    place::Marker,
    seen::{SeenIndex, hour_of},
};
use crate::{
    event::Draft,
    gap::Gap,
    pos::page::Quarantined,
    transaction::{Resource, Transaction},
};

/// The marker follows the numbers in steps of this many.
const MARKER_STEP: u64 = 1_024;

/// Pages of expired entries that one commit removes at most.
const EXPIRED_PAGES_MAX: usize = 64;

/// What one answer of a source brought, or what the box has to tell.
#[derive(Debug, Default)]
pub struct Capture {
    /// The connection; empty for the box itself.
    pub connection: String,
    /// [`super::Level::epoch`] when the caller last read the connection's cursor.
    pub epoch: u64,
    /// When it was observed.
    pub now: DateTime<Utc>,
    /// Records as the source shows them, known or not.
    pub transactions: Vec<Transaction>,
    /// What the connector notes beside some of them.
    pub marks: BTreeMap<(Resource, String), u64>,
    /// Records that could not be read.
    pub quarantined: Vec<Quarantined>,
    /// How far the source was read when they were found.
    pub read_to: Option<DateTime<Utc>>,
    /// Stored records that the source no longer shows.
    pub vanished: Vec<(Resource, String)>,
    /// Intervals that are not proven complete.
    pub gaps_opened: Vec<Gap>,
    /// Gaps that were proven complete.
    pub gaps_closed: Vec<Gap>,
    /// Closings to send.
    pub closings: Vec<ClosingDraft>,
    /// Notices to send.
    pub notices: Vec<Draft>,
    /// The connector's cursor, if it moved.
    pub cursor: Option<Vec<u8>>,
    /// The instant from which the cursor has the connection read again, if it was asked to.
    pub read_again: Option<DateTime<Utc>>,
}

/// A closing as an event, and the digest by which a later one is compared.
#[derive(Debug, Clone)]
pub struct ClosingDraft {
    /// The business day.
    pub day: NaiveDate,
    /// What is compared.
    pub digest: Vec<u8>,
    /// The event.
    pub draft: Draft,
}

/// What a commit made durable.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Captured {
    /// Records that were not known.
    pub new: u64,
    /// Known records with another content.
    pub changed: u64,
    /// Records put aside that were not known.
    pub quarantined: u64,
    /// What is put aside is other than before: found, read at last, or forgotten.
    pub asides_moved: bool,
    /// Events of all types.
    pub events: u64,
    /// Business days whose totals moved.
    pub days: std::collections::BTreeSet<NaiveDate>,
    /// Timestamps of the new sales: for the receipt pulse.
    pub new_sales: Vec<DateTime<Utc>>,
}

/// A commit that is ready to be applied.
pub(super) struct Staged {
    pub batch: sled::Batch,
    pub chunks: Vec<ChunkHead>,
    pub captured: Captured,
    pub open_gaps: Option<Vec<Gap>>,
    pub closed_by_hand: Option<Vec<ClosedGap>>,
    pub aside: Option<Asides>,
    /// The store's own words, where they change.
    pub meta: Option<Meta>,
    /// Whether records are in it, or only the box's own events.
    pub records: bool,
}

impl Staged {
    /// A commit that changes nothing but what is in the batch.
    pub fn of(batch: sled::Batch) -> Self {
        Self {
            batch,
            chunks: Vec::new(),
            captured: Captured::default(),
            open_gaps: None,
            closed_by_hand: None,
            aside: None,
            meta: None,
            records: false,
        }
    }
}

impl Outbox {
    /// Stores what is new or changed, and returns when it is on the device; what brings no news writes nothing.
    ///
    /// # Errors
    /// There is no more room for records, the store fails, or a new stream began since the caller read its cursor.
    /// Then nothing of it is stored, and no number is used.
    pub fn capture(&self, capture: Capture) -> Result<Captured, OutboxError> {
        self.writing(|writer| self.capture_with(writer, capture))
    }

    /// Stores the box's own events, in whatever stream runs.
    ///
    /// # Errors
    /// As [`Outbox::capture`].
    pub fn tell(&self, notices: Vec<Draft>, now: DateTime<Utc>) -> Result<Captured, OutboxError> {
        self.writing(|writer| {
            let epoch = writer.epoch;
            self.capture_with(writer, Capture { epoch, now, notices, ..Capture::default() })
        })
    }

    fn capture_with(&self, writer: &mut Writer, capture: Capture) -> Result<Captured, OutboxError> {
        let result = self.commit(writer, capture);
        if let Some(seen) = &mut writer.seen {
            // Also takes back what a commit that was refused did to them.
            seen.forget_pages();
        }
        result
    }

    fn commit(&self, writer: &mut Writer, capture: Capture) -> Result<Captured, OutboxError> {
        let db = self.db();
        let db = db.as_ref().ok_or_else(|| OutboxError::Closed(writer.closed.clone().unwrap_or_default()))?;
        if capture.epoch != writer.epoch {
            return Err(OutboxError::NewStream);
        }
        let connection = capture.connection.clone();
        let cursor = capture.cursor.clone();
        let Some(mut staged) = self.stage(writer, db, capture)? else {
            if let Some(cursor) = cursor {
                writer.waiting_cursors.insert(connection, cursor);
            }
            return Ok(Captured::default());
        };
        self.check_room(writer, &staged)?;
        let removed = self.make_room(writer, db, &mut staged)?;
        apply(db, std::mem::take(&mut staged.batch))?;
        flush(db)?;
        writer.removed = removed;
        Ok(self.adopt(writer, &connection, staged))
    }

    /// Turns a capture into one batch; `None` if it brings no news.
    pub(super) fn stage(
        &self,
        writer: &mut Writer,
        tree: &sled::Tree,
        capture: Capture,
    ) -> Result<Option<Staged>, OutboxError> {
        let mut seen = match writer.seen.take() {
            Some(seen) => seen,
            None => SeenIndex::open(tree)?,
        };
        let result = self.stage_with(writer, &mut seen, tree, capture);
        writer.seen = Some(seen);
        result
    }

    fn stage_with(
        &self,
        writer: &Writer,
        seen: &mut SeenIndex,
        tree: &sled::Tree,
        capture: Capture,
    ) -> Result<Option<Staged>, OutboxError> {
        let Capture { connection, now, .. } = capture;
        let mut batch = sled::Batch::default();
        let first_kept = hour_of(self.retained_since(now));

        let unreadable = capture.quarantined.iter().map(|quarantined| quarantined.hash).collect();
        let mut news = News::new(self, writer, seen, tree, &connection, now);
        for transaction in capture.transactions {
            let mark = capture.marks.get(&(transaction.resource, transaction.external_id.clone())).copied();
            news.transaction(transaction, mark, &unreadable)?;
        }
        for (resource, external_id) in capture.vanished {
            news.vanished(resource, external_id)?;
        }
        for quarantined in capture.quarantined {
            news.quarantined(quarantined, capture.read_to)?;
        }
        let News { mut drafts, notices, mut captured, read, found, .. } = news;
        let records = !drafts.is_empty();

        let mut gaps = Gaps::of(writer, &connection);
        gaps.stage(&connection, capture.gaps_opened, &capture.gaps_closed, now, &mut drafts, &mut batch);
        for closing in capture.closings {
            batch.insert(
                connection_key(layout::CLOSING, &connection, closing.day.to_string().as_bytes()),
                closing.digest,
            );
            drafts.push(closing.draft);
        }
        drafts.extend(notices);
        drafts.extend(capture.notices);
        if drafts.is_empty() && !seen.has_changes() {
            return Ok(None);
        }

        let asides = writer.aside.get(&connection).cloned().unwrap_or_default();
        let aside = aside::stage(&connection, &asides, &read, found, self.retained_since(now), &mut batch);
        captured.asides_moved = aside.is_some();
        let heads = stage_events(writer, &drafts, &mut batch);
        seen.write(&mut batch);
        if !connection.is_empty() {
            seen.expire(tree, &connection, first_kept, EXPIRED_PAGES_MAX, &mut batch)?;
        }
        let mut cursors = writer.waiting_cursors.clone();
        cursors.extend(capture.cursor.map(|cursor| (connection.clone(), cursor)));
        for (connection, cursor) in cursors {
            batch.insert(connection_key(layout::CURSOR, &connection, &[]), cursor);
        }
        captured.events = drafts.len() as u64;
        let asked = writer.meta.read_again.get(&connection);
        let meta = (asked.is_some() && asked == capture.read_again.as_ref()).then(|| {
            let mut meta = writer.meta.clone();
            meta.read_again.remove(&connection);
            batch.insert(META, meta.to_bytes());
            meta
        });
        let (open_gaps, closed_by_hand) = gaps.changed();
        Ok(Some(Staged { batch, chunks: heads, captured, open_gaps, closed_by_hand, aside, meta, records }))
    }

    /// Takes a commit that is on the device into the books, and lets everyone see it.
    pub(super) fn adopt(&self, writer: &mut Writer, connection: &str, staged: Staged) -> Captured {
        let Staged { chunks, captured, open_gaps, closed_by_hand, aside, meta, .. } = staged;
        if let Some(head) = chunks.last() {
            writer.last = head.last();
            writer.cumulative_bytes = head.cumulative_bytes;
        }
        if let Some(seen) = &mut writer.seen {
            seen.committed();
        }
        writer.waiting_cursors.clear();
        if let Some(meta) = meta {
            writer.meta = meta;
        }
        if let Some(open_gaps) = open_gaps {
            writer.open_gaps.insert(connection.to_owned(), open_gaps);
        }
        if let Some(closed) = closed_by_hand {
            writer.closed_by_hand.insert(connection.to_owned(), closed);
        }
        if let Some(aside) = aside {
            writer.aside.insert(connection.to_owned(), aside);
        }
        if writer.marker.as_ref().is_none_or(|marker| writer.last - marker.sequence >= MARKER_STEP) {
            self.move_marker(writer);
        }
        self.publish_level(writer);
        captured
    }

    /// Writes beside the store a number that was surely handed out.
    pub(super) fn move_marker(&self, writer: &mut Writer) {
        let marker = Marker {
            stream: writer.meta.stream.clone(),
            sequence: writer.last,
            inode: self.place.inode(),
            machine: super::place::machine_id(),
        };
        match self.place.set_marker(&marker) {
            Ok(()) => writer.marker = Some(marker),
            Err(error) => tracing::warn!(%error, "outbox: the marker beside the store cannot be written"),
        }
    }

    /// What is kept goes as far as the commit needs its room.
    pub(super) fn make_room(
        &self,
        writer: &Writer,
        tree: &sled::Tree,
        staged: &mut Staged,
    ) -> Result<Removed, OutboxError> {
        let (released, released_bytes) = (writer.meta.released, writer.released_bytes);
        let cumulative_bytes = staged.chunks.last().map_or(writer.cumulative_bytes, |head| head.cumulative_bytes);
        let most_bytes = self.kept_most_bytes(cumulative_bytes.saturating_sub(released_bytes));
        if writer.kept_bytes() <= most_bytes {
            return Ok(writer.removed);
        }
        let stay = Stay { released, released_bytes, most_bytes, aged: 0 };
        kept::give_way(tree, writer.removed, stay, usize::MAX, &mut staged.batch)
    }

    pub(super) fn check_room(&self, writer: &Writer, staged: &Staged) -> Result<(), OutboxError> {
        let limit_bytes = self.limit_bytes();
        let allowed_bytes = if staged.records { limit_bytes } else { limit_bytes + NOTICE_RESERVE_BYTES };
        let queued_bytes = writer.queued_bytes();
        if queued_bytes >= allowed_bytes || (staged.records && self.level().card_full) {
            return Err(OutboxError::Full { queued_bytes, limit_bytes });
        }
        Ok(())
    }

    /// The hour under which an entry stands: the sale's own, or now for one that would expire at once or never.
    pub(super) fn retention_hour(&self, timestamp: DateTime<Utc>, now: DateTime<Utc>) -> u32 {
        let kept = self.retained_since(now) < timestamp && timestamp <= now + chrono::TimeDelta::days(1);
        hour_of(if kept { timestamp } else { now })
    }
}

/// Writes events with the next numbers into a batch; gives the heads of their chunks.
pub(super) fn stage_events(writer: &Writer, drafts: &[Draft], batch: &mut sled::Batch) -> Vec<ChunkHead> {
    let chunks = layout::write_chunks(writer.last + 1, drafts, writer.cumulative_bytes);
    let mut heads = Vec::with_capacity(chunks.len());
    for (head, parts) in chunks {
        for (part, value) in (0..).zip(parts) {
            batch.insert(&layout::chunk_key(head.first, part), value);
        }
        heads.push(head);
    }
    heads
}

/// A connection's gaps in one commit.
struct Gaps {
    open: Vec<Gap>,
    closed_by_hand: Vec<ClosedGap>,
    /// Which of the two changed.
    changed: (bool, bool),
}

impl Gaps {
    fn of(writer: &Writer, connection: &str) -> Self {
        let open = writer.open_gaps.get(connection).cloned().unwrap_or_default();
        let closed_by_hand = writer.closed_by_hand.get(connection).cloned().unwrap_or_default();
        Self { open, closed_by_hand, changed: (false, false) }
    }

    /// Opens and closes gaps. What a person closed is not opened again; that it is proven after all is told.
    fn stage(
        &mut self,
        connection: &str,
        opened: Vec<Gap>,
        closed: &[Gap],
        now: DateTime<Utc>,
        drafts: &mut Vec<Draft>,
        batch: &mut sled::Batch,
    ) {
        for gap in opened {
            if !self.open.contains(&gap) && !self.closed_by_hand.iter().any(|of| of.gap.holds(&gap)) {
                drafts.push(gap.draft(connection, true, now));
                batch.insert(gap_key(connection, &gap), serde_json::to_vec(&gap).unwrap_or_default());
                self.open.push(gap);
                self.changed.0 = true;
            }
        }
        for gap in closed {
            if let Some(at) = self.open.iter().position(|open| open == gap) {
                self.open.remove(at);
                batch.remove(gap_key(connection, gap));
                self.changed.0 = true;
            } else if let Some(at) = self.closed_by_hand.iter().position(|of| of.gap == *gap) {
                self.closed_by_hand.remove(at);
                batch.remove(closed_key(connection, gap));
                self.changed.1 = true;
            } else {
                continue;
            }
            drafts.push(gap.draft(connection, false, now));
        }
    }

    /// The open ones, and those that persons closed, as far as they changed.
    fn changed(self) -> (Option<Vec<Gap>>, Option<Vec<ClosedGap>>) {
        let Self { open, closed_by_hand, changed } = self;
        (changed.0.then_some(open), changed.1.then_some(closed_by_hand))
    }
}

/// Where an open gap is noted.
pub(super) fn gap_key(connection: &str, gap: &Gap) -> Vec<u8> {
    connection_key(layout::GAP, connection, gap.id().as_bytes())
}
