//! The stream: which generation it has, when another one begins, and what goes over into that.

use super::{
    Outbox, OutboxError, ReadAgain, Writer, aside,
    engine::{apply, flush},
    kept,
    layout::{self, META},
    meta::{Meta, Restart},
    open_db,
};
use crate::event::StreamId;

/// The longest token of a word for starting again, in bytes: it is written with every release.
pub const TOKEN_MAX_BYTES: usize = 256;

/// How a new stream begins.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Begin {
    /// Its generation, if that is known already.
    pub generation: Option<u32>,
    /// Whether the generation was chosen by a clock that was proven, or follows one that HQ has.
    pub proven: bool,
    /// From when on connections are to be read again.
    pub read_again: ReadAgain,
    /// It begins at the first event that is kept, of whichever stream, instead of the first that was not released.
    pub keep: bool,
    /// The word for starting again that is obeyed by this.
    pub restart_token: Option<String>,
}

impl Outbox {
    /// Takes a generation for a stream that has none yet; published events carry it. In the same commit it notes from
    /// when on connections are to be read again. Of the very generation that it has already, it notes that it is proven.
    ///
    /// # Errors
    /// The store fails.
    pub fn take_generation(&self, generation: u32, proven: bool, read_again: ReadAgain) -> Result<(), OutboxError> {
        self.change_meta(|meta| {
            if meta.generation.is_none() {
                (meta.generation, meta.generation_proven) = (Some(generation), proven);
                for (connection, since) in read_again {
                    aside::ask_again(&mut meta.read_again, &connection, since);
                }
            } else if meta.generation == Some(generation) {
                meta.generation_proven |= proven;
            }
        })
    }

    /// Begins a new stream: HQ's word shows that this store lost its tail, that another box came after it, or that HQ
    /// begins anew. What was not released goes into the new stream, and with [`Begin::keep`] what is kept before it;
    /// what was seen is forgotten, so the source is read again. An order to take over ends with it.
    ///
    /// # Errors
    /// The store fails, or the token is longer than [`TOKEN_MAX_BYTES`].
    pub fn begin_stream(&self, begin: Begin) -> Result<(), OutboxError> {
        let token_bytes = begin.restart_token.as_ref().map_or(0, String::len);
        if token_bytes > TOKEN_MAX_BYTES {
            return Err(OutboxError::TooLong { what: "the token for starting again", bytes: token_bytes });
        }
        self.writing(|writer| {
            begin_stream(open_db(self.db().as_ref())?, writer, begin)?;
            self.move_marker(writer);
            self.publish_level(writer);
            Ok(())
        })
    }

    /// Notes durably that this box takes the outlet back once everything that it has now has left under its old
    /// generation; gives the number of the last such event. A second order does not move that number.
    ///
    /// # Errors
    /// The store fails.
    pub fn order_take_over(&self) -> Result<u64, OutboxError> {
        self.writing(|writer| {
            let mut meta = writer.meta.clone();
            let through = *meta.take_over.get_or_insert(writer.last);
            self.write_meta(writer, meta)?;
            Ok(through - writer.meta.base)
        })
    }

    /// Takes an order to take over back: no other box has the outlet.
    ///
    /// # Errors
    /// The store fails.
    pub fn end_take_over(&self) -> Result<(), OutboxError> {
        self.change_meta(|meta| meta.take_over = None)
    }

    fn change_meta(&self, change: impl FnOnce(&mut Meta)) -> Result<(), OutboxError> {
        self.writing(|writer| {
            let mut meta = writer.meta.clone();
            change(&mut meta);
            self.write_meta(writer, meta)
        })
    }

    /// Stores what the store says of itself, if it changed.
    fn write_meta(&self, writer: &mut Writer, meta: Meta) -> Result<(), OutboxError> {
        if meta != writer.meta {
            let db = self.db();
            let tree = open_db(db.as_ref())?;
            let mut batch = sled::Batch::default();
            batch.insert(META, meta.to_bytes());
            apply(tree, batch)?;
            flush(tree)?;
            writer.meta = meta;
            self.publish_level(writer);
        }
        Ok(())
    }
}

/// Forgets what was seen and read, and begins a stream after what was released, or before what is kept of it.
pub(super) fn begin_stream(tree: &sled::Tree, writer: &mut Writer, begin: Begin) -> Result<(), OutboxError> {
    let id = StreamId::random().map_err(|_| OutboxError::Engine("no random bytes".to_owned()))?;
    let mut batch = sled::Batch::default();
    for kind in [layout::SEEN, layout::CURSOR, layout::CLOSING] {
        for key in tree.scan_prefix([kind]).keys() {
            batch.remove(key?);
        }
    }
    let (base, released_bytes) =
        if begin.keep { kept::first_readable(tree, writer)? } else { (writer.meta.released, writer.released_bytes) };
    let mut meta = Meta::begin(id, base);
    (meta.generation, meta.generation_proven) = (begin.generation, begin.proven);
    meta.read_again = begin.read_again;
    // HQ repeats a word until a checkpoint names it, and may do so into a later stream.
    let obeyed = begin.restart_token.map(|token| Restart { token, at: writer.now });
    meta.restart = obeyed.or_else(|| writer.meta.restart.clone());
    meta.released_on = writer.meta.released_on.clone();
    meta.released_on.retain(|_, through| *through <= base);
    batch.insert(META, meta.to_bytes());
    apply(tree, batch)?;
    flush(tree)?;
    writer.meta = meta;
    writer.released_bytes = released_bytes;
    writer.epoch += 1;
    writer.seen = None;
    writer.waiting_cursors.clear();
    Ok(())
}
