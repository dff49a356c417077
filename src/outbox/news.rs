//! What of a capture is news, beside what was seen: records that are new or changed, gone or there again, and those that
//! cannot be read, or can be read at last.

use std::collections::BTreeSet;

use chrono::{DateTime, Timelike as _, Utc};

use super::{
    Aside, Captured, Outbox, OutboxError, Writer, aside, draft,
    meta::VERSION,
    seen::{Identity, Seen, SeenIndex, Standing, hour_of},
};
use crate::{
    content::ContentId,
    event::Draft,
    notice::Notice,
    pos::page::Quarantined,
    transaction::{Kind, Resource, Transaction},
};

/// Revision of a record that was put aside and could be read since.
const READ_SINCE: u32 = 0;

/// The news of one capture, as far as it was looked through.
pub(super) struct News<'a> {
    outbox: &'a Outbox,
    writer: &'a Writer,
    seen: &'a mut SeenIndex,
    tree: &'a sled::Tree,
    connection: &'a str,
    now: DateTime<Utc>,
    /// What is put aside before the capture.
    asides: &'a [Aside],
    /// Records, read or not, as events.
    pub drafts: Vec<Draft>,
    /// What is to be told about them.
    pub notices: Vec<Draft>,
    /// What a commit of it makes durable.
    pub captured: Captured,
    /// What was put aside before and is read now.
    pub read: BTreeSet<ContentId>,
    /// What is put aside now.
    pub found: Vec<Aside>,
}

impl<'a> News<'a> {
    pub fn new(
        outbox: &'a Outbox,
        writer: &'a Writer,
        seen: &'a mut SeenIndex,
        tree: &'a sled::Tree,
        connection: &'a str,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            outbox,
            writer,
            seen,
            tree,
            connection,
            now,
            asides: writer.aside.get(connection).map(|asides| asides.list.as_slice()).unwrap_or_default(),
            drafts: Vec::new(),
            notices: Vec::new(),
            captured: Captured::default(),
            read: BTreeSet::new(),
            found: Vec::new(),
        }
    }

    /// A record as the source shows it, with what its connector notes beside it. What the same answer shows as
    /// `unreadable` too was not read.
    pub fn transaction(
        &mut self,
        mut transaction: Transaction,
        mark: Option<u64>,
        unreadable: &BTreeSet<ContentId>,
    ) -> Result<(), OutboxError> {
        self.is_read(&transaction, unreadable)?;
        let identity = Identity::Record(transaction.resource, transaction.external_id.clone());
        let content = transaction.content_id();
        let known = self.seen.find(self.tree, self.connection, &identity)?.cloned();
        let stood = known.as_ref().and_then(|known| known.standing);
        if stood.is_some_and(|stood| stood.vanished) {
            self.tell(&seen_again(&transaction));
        }
        if let Some(known) = known.as_ref().filter(|known| known.content == content) {
            let Some(stood) = known.standing else { return Ok(()) };
            let standing = Standing { mark: mark.unwrap_or(stood.mark), vanished: false, ..stood };
            if standing != stood {
                let hour = self.outbox.retention_hour(standing.at, self.now);
                let entry = Seen { standing: Some(standing), ..known.clone() };
                self.seen.put(self.tree, self.connection, hour, entry)?;
            }
            return Ok(());
        }
        transaction.revision = known.as_ref().map_or(1, |known| known.revision + 1);
        self.count(&transaction, stood);
        let at = transaction.timestamp.with_timezone(&Utc);
        let standing = Standing {
            kind: transaction.kind,
            currency: transaction.currency,
            amount: transaction.amount,
            business_date: transaction.business_date,
            at: at.with_nanosecond(0).unwrap_or(at),
            mark: mark.or(stood.map(|stood| stood.mark)).unwrap_or(0),
            vanished: false,
        };
        let hour = self.outbox.retention_hour(at, self.now);
        let (revision, sequence) = (transaction.revision, self.next_number());
        self.drafts.push(draft::of_transaction(&transaction, content, self.outbox.options.event_max_bytes));
        let entry = Seen { identity, content, standing: Some(standing), revision, sequence };
        Ok(self.seen.put(self.tree, self.connection, hour, entry)?)
    }

    /// A stored record that the source no longer shows.
    pub fn vanished(&mut self, resource: Resource, external_id: String) -> Result<(), OutboxError> {
        let identity = Identity::Record(resource, external_id.clone());
        let Some(known) = self.seen.find(self.tree, self.connection, &identity)?.cloned() else { return Ok(()) };
        let Some(stood) = known.standing.filter(|stood| !stood.vanished) else { return Ok(()) };
        let text = format!(
            "a {} of {} {}, stored before, is no longer shown by the source; it stays as it was",
            resource.name(),
            stood.amount,
            stood.currency
        );
        self.tell(&Notice::new("vanished_at_source", text).about(resource, external_id));
        let standing = Some(Standing { vanished: true, ..stood });
        let hour = self.outbox.retention_hour(stood.at, self.now);
        Ok(self.seen.put(self.tree, self.connection, hour, Seen { standing, ..known })?)
    }

    /// A record that cannot be read, found when the source was read up to `read_to`.
    pub fn quarantined(
        &mut self,
        mut quarantined: Quarantined,
        read_to: Option<DateTime<Utc>>,
    ) -> Result<(), OutboxError> {
        let listed = self.asides.iter().find(|aside| aside.quarantined.hash == quarantined.hash);
        // What was listed for so long that it is not among what was seen any more is no news either.
        if listed.is_some_and(|aside| aside.observed_at < self.outbox.retained_since(self.now)) {
            return Ok(());
        }
        let identity = Identity::Quarantined(quarantined.hash.to_string());
        // One that was read meanwhile and is as bad as before is put aside again.
        let known = self.seen.find(self.tree, self.connection, &identity)?.map(|known| known.revision);
        if known.is_some_and(|revision| revision != READ_SINCE) {
            return Ok(());
        }
        if quarantined.business_date.is_none() {
            quarantined.window.get_or_insert_with(|| aside::met_within(self.now, read_to));
        }
        let sequence = self.next_number();
        // A new stream tells what was dismissed in an earlier one, too.
        let draft = if let Some(aside) = listed.filter(|aside| aside.dismissed.is_some()) {
            draft::of_aside(aside, self.connection, self.now)
        } else {
            self.captured.quarantined += 1;
            draft::of_quarantined(&quarantined, self.connection, self.now)
        };
        let entry = Seen { identity, content: draft.content, standing: None, revision: 1, sequence };
        self.drafts.push(draft);
        if listed.is_none() {
            let version = VERSION.to_owned();
            self.found.push(Aside { quarantined, observed_at: self.now, version, read_to, dismissed: None });
        }
        Ok(self.seen.put(self.tree, self.connection, hour_of(self.now), entry)?)
    }

    /// Takes a record that was read off the list of those that are put aside.
    fn is_read(&mut self, transaction: &Transaction, unreadable: &BTreeSet<ContentId>) -> Result<(), OutboxError> {
        let asides = self.asides.iter().filter(|aside| aside.is(transaction));
        let hashes: Vec<_> =
            asides.map(|aside| aside.quarantined.hash).filter(|hash| !unreadable.contains(hash)).collect();
        let before = self.read.len();
        for hash in hashes {
            let identity = Identity::Quarantined(hash.to_string());
            if let Some(known) = self.seen.find(self.tree, self.connection, &identity)?.cloned() {
                let hour = hour_of(self.now);
                self.seen.put(self.tree, self.connection, hour, Seen { revision: READ_SINCE, ..known })?;
            }
            self.read.insert(hash);
        }
        if self.read.len() > before {
            let text = format!("a {} that was put aside before can be read now", transaction.resource.name());
            let notice = Notice::new("quarantine_read", text);
            self.tell(&notice.about(transaction.resource, transaction.external_id.clone()));
        }
        Ok(())
    }

    /// Counts a record that is new, or stood otherwise.
    fn count(&mut self, transaction: &Transaction, stood: Option<Standing>) {
        self.captured.days.extend(stood.map(|standing| standing.business_date));
        self.captured.days.insert(transaction.business_date);
        if transaction.revision > 1 {
            self.captured.changed += 1;
            return;
        }
        self.captured.new += 1;
        if transaction.kind == Kind::Sale {
            self.captured.new_sales.push(transaction.timestamp.with_timezone(&Utc));
        }
    }

    fn tell(&mut self, notice: &Notice) {
        self.notices.push(notice.draft(Some(self.connection), self.now));
    }

    /// The number that the next record's event gets in its stream.
    fn next_number(&self) -> u64 {
        self.writer.last - self.writer.meta.base + 1 + self.drafts.len() as u64
    }
}

fn seen_again(transaction: &Transaction) -> Notice {
    let text = format!("a {} that had vanished is shown by the source again", transaction.resource.name());
    Notice::new("seen_again", text).about(transaction.resource, transaction.external_id.clone())
}
