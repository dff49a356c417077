//! What was seen, as a connector may ask for it.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{
    Outbox, open_db,
    seen::{Identity, Seen, SeenIndex, hour_of},
};
use crate::{
    pos::connector::{Known, Memory},
    transaction::Resource,
};

/// The memory of one connection.
#[derive(Debug)]
pub struct OutboxMemory {
    outbox: Arc<Outbox>,
    connection: String,
}

impl OutboxMemory {
    /// What `outbox` has stored of a connection.
    #[must_use]
    pub fn new(outbox: Arc<Outbox>, connection: &str) -> Self {
        Self { outbox, connection: connection.to_owned() }
    }
}

impl Memory for OutboxMemory {
    fn find(&self, resource: Resource, external_id: &str) -> Option<Known> {
        let identity = Identity::Record(resource, external_id.to_owned());
        let found = self.outbox.writing(|writer| {
            let db = self.outbox.db();
            let tree = open_db(db.as_ref())?;
            let mut seen = match writer.seen.take() {
                Some(seen) => seen,
                None => SeenIndex::open(tree)?,
            };
            let found = seen.find(tree, &self.connection, &identity).map(Option::<&_>::cloned);
            seen.forget_pages();
            writer.seen = Some(seen);
            Ok(found?)
        });
        found.ok().flatten().and_then(known)
    }

    fn between(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<Known> {
        let hours = hour_of(from)..=hour_of(to);
        let found = self.outbox.reading(|tree| {
            let mut all = Vec::new();
            for page in SeenIndex::between(tree, &self.connection, hours) {
                let page = page?.1.into_iter().filter_map(known);
                all.extend(page.filter(|known| from <= known.at && known.at < to));
            }
            Ok(all)
        });
        found.unwrap_or_default()
    }
}

fn known(seen: Seen) -> Option<Known> {
    let Identity::Record(resource, external_id) = seen.identity else { return None };
    let standing = seen.standing?;
    Some(Known {
        resource,
        external_id,
        kind: standing.kind,
        amount: standing.amount,
        at: standing.at,
        mark: standing.mark,
        vanished: standing.vanished,
    })
}
