//! Looking into a store, without a daemon and beside one, for a person who wants to know what is in it.

use std::{
    fs, io,
    sync::{Arc, Mutex, RwLock},
};

use chrono::{DateTime, Utc};
use tokio::sync::watch;

use super::{
    Level, Options, Outbox, OutboxError, Owner,
    engine::{close, guarded, open_sled},
    events_from,
    identity::read_owner,
    open::read_writer,
    open_db,
    place::Place,
    seen::{SeenIndex, hour_of},
};
use crate::{
    event::{Event, StreamId},
    transaction::Kind,
};

/// A store that no daemon has, as it stands: nothing is repaired, no stream begins, and nothing is written but what sled
/// itself writes when it opens its files.
#[derive(Debug)]
pub struct Look(Outbox);

impl Look {
    /// Opens a store in its folder. Whatever a start of the daemon would find and mend is left to it.
    ///
    /// # Errors
    /// There is no store, a daemon has it, or it cannot be read.
    pub fn into(options: Options) -> Result<Self, OutboxError> {
        let place = Place::visit(&options.folder)?;
        let store = place.store();
        // sled would make one.
        if let Err(cause) = fs::metadata(store.join("db")) {
            let doing = if cause.kind() == io::ErrorKind::NotFound { "find" } else { "read" };
            return Err(OutboxError::Folder { doing, path: store, cause });
        }
        let db = open_sled(&store)?;
        // Without a clock nothing that is kept is too old to be shown.
        let reading = || Ok((read_writer(&db, DateTime::UNIX_EPOCH)?, read_owner(&db)?));
        let (mut writer, owner) = match guarded("reading what it holds", reading) {
            Ok(read) => read,
            Err(error) => {
                close(Some(db));
                return Err(error);
            }
        };
        // What is in it is shown under the name that it has, whatever the config says.
        let options = match owner {
            Some(Owner { outlet, topic_prefix }) => Options { outlet, topic_prefix, ..options },
            None => options,
        };
        // Where its tail is lost, this says more than there is.
        writer.meta.acknowledged = writer.meta.acknowledged.min(writer.last);
        let at_open = (writer.meta.stream_id(), writer.last - writer.meta.base);
        let level = watch::Sender::new(Level::default());
        let (db, remembered) = (RwLock::new(Some(db)), Arc::clone(&writer.remembered));
        let outbox = Outbox { options, place, db, writer: Mutex::new(writer), level, remembered, at_open };
        outbox.publish_level(&outbox.writer());
        Ok(Self(outbox))
    }

    /// The store, to be asked and not to be changed.
    pub(crate) fn outbox(&self) -> &Outbox {
        &self.0
    }
}

impl Outbox {
    /// The sales of a connection whose time lies in `from..to`: when each was, and the number of the event that holds its
    /// latest state. In no order; each call reads the store.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn sales_between(
        &self,
        connection: &str,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> Result<Vec<(DateTime<Utc>, u64)>, OutboxError> {
        self.reading(|tree| {
            let mut sales = Vec::new();
            for page in SeenIndex::between(tree, connection, hour_of(from)..=hour_of(to)) {
                let stood = page?.1.into_iter().filter_map(|seen| Some((seen.standing?, seen.sequence)));
                let sales_of_page = stood.filter(|(standing, _)| standing.kind == Kind::Sale);
                sales.extend(
                    sales_of_page
                        .map(|(standing, number)| (standing.at, number))
                        .filter(|(at, _)| (from..to).contains(at)),
                );
            }
            Ok(sales)
        })
    }

    /// Bytes that are free where the store lies.
    #[must_use]
    pub fn disk_free_bytes(&self) -> Option<u64> {
        self.place.free_bytes().ok()
    }

    /// The durable events of a stream after number `after` that were not released yet, in order, `most` and about
    /// [`READ_MAX_BYTES`](super::READ_MAX_BYTES) at most. The store changes only before or after, so that what is
    /// released meanwhile is not looked for.
    ///
    /// # Errors
    /// The store cannot be read, or another stream runs.
    pub fn waiting(&self, stream: StreamId, after: u64, most: usize) -> Result<Vec<Event>, OutboxError> {
        self.writing(|writer| {
            if writer.meta.stream_id() != Some(stream) {
                return Err(OutboxError::NewStream);
            }
            let base = writer.meta.base;
            let after = after.saturating_add(base).max(writer.meta.released);
            let db = self.db();
            let mut events = events_from(open_db(db.as_ref())?, base, after, writer.last, most)?;
            events.truncate(most);
            Ok(events)
        })
    }
}
