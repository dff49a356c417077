//! How the store's keys and values are written.
//!
//! One sled tree holds everything, so that one batch is one atomic commit. The first byte of a key tells what it is:
//!
//! | Key | Value |
//! |---|---|
//! | `q` first number (8) part (2) | part of a chunk: consecutive events, compressed together |
//! | `s` connection 0 hour (4) page (2) | packed entries of what has been seen |
//! | `w` connection | the connector's cursor, as it wrote it |
//! | `g` connection 0 gap id | an open gap, JSON |
//! | `h` connection 0 gap id | a gap that a person closed, JSON |
//! | `a` connection 0 second (8) hash (32) | a record that was put aside, JSON |
//! | `a` connection 0 | those that had no room in that list, JSON |
//! | `c` connection 0 day | the digest of the last closing |
//! | `n` connection | what the connection reads, to notice a renaming |
//! | `u` | the outlet whose store it is, JSON |
//! | `i` connection 0 | ids of the account whose sales the connection stored, JSON |
//! | `o` number (8) | a nonce that this box told |
//! | `b` broker | what the broker held retained, JSON |
//! | `m` | the store's [`Meta`], JSON |
//!
//! Numbers are big-endian, so that keys sort as numbers. sled writes a whole leaf of up to some twenty entries as one
//! page, and a page above a quarter of a segment becomes a separate file that it never syncs: hence
//! [`VALUE_MAX_BYTES`], which keeps a full leaf below that.

use crate::{
    content::ContentId,
    event::{Draft, Event, EventType},
};

/// The largest value in the store: 20 of them stay below a quarter of sled's 512 KiB segment.
pub const VALUE_MAX_BYTES: usize = 6 * 1024;

/// Events gathered into one chunk before compression; a larger single event is a chunk of its own.
pub const CHUNK_MAX_BYTES: usize = 64 * 1024;

/// No chunk is larger than this before compression; a head that claims more is damaged.
const RAW_MAX_BYTES: usize = 1024 * 1024;

pub const QUEUE: u8 = b'q';
pub const SEEN: u8 = b's';
pub const CURSOR: u8 = b'w';
pub const GAP: u8 = b'g';
pub const CLOSED_BY_HAND: u8 = b'h';
pub const ASIDE: u8 = b'a';
pub const CLOSING: u8 = b'c';
pub const CONNECTION: u8 = b'n';
pub const OWNER: u8 = b'u';
pub const ACCOUNT: u8 = b'i';
pub const NONCE: u8 = b'o';
pub const BROKER: u8 = b'b';
pub const META: &[u8] = b"m";

/// A connection's key of one kind, with what follows the name.
pub fn connection_key(kind: u8, connection: &str, rest: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(2 + connection.len() + rest.len());
    key.push(kind);
    key.extend_from_slice(connection.as_bytes());
    key.push(0);
    key.extend_from_slice(rest);
    key
}

/// The key of a part of the chunk whose first event has this number.
pub fn chunk_key(first: u64, part: u16) -> [u8; 11] {
    let mut key = [QUEUE; 11];
    key[1..9].copy_from_slice(&first.to_be_bytes());
    key[9..].copy_from_slice(&part.to_be_bytes());
    key
}

/// The key of a nonce, by the order in which they were told.
pub fn nonce_key(number: u64) -> [u8; 9] {
    let mut key = [NONCE; 9];
    key[1..].copy_from_slice(&number.to_be_bytes());
    key
}

/// The key of a broker.
pub fn broker_key(broker: &str) -> Vec<u8> {
    [&[BROKER], broker.as_bytes()].concat()
}

/// First number and part of a chunk's key.
pub fn read_chunk_key(key: &[u8]) -> Option<(u64, u16)> {
    let [QUEUE, rest @ ..] = key else { return None };
    let (first, part) = rest.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*first), u16::from_be_bytes(part.try_into().ok()?)))
}

/// What the first part of a chunk says of all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkHead {
    /// Number of the chunk's first event.
    pub first: u64,
    /// Events in it, at least one.
    pub count: u32,
    /// Stored bytes of it, all parts.
    pub stored_bytes: u32,
    /// Stored bytes of this and every earlier chunk of the store's life.
    pub cumulative_bytes: u64,
}

impl ChunkHead {
    const BYTES: usize = 20;

    pub fn last(&self) -> u64 {
        self.first + u64::from(self.count) - 1
    }

    /// Stored bytes of every earlier chunk of the store's life.
    pub fn bytes_before(&self) -> u64 {
        self.cumulative_bytes.saturating_sub(u64::from(self.stored_bytes))
    }

    /// Reads the head from a chunk's first part.
    pub fn read(first: u64, part: &[u8]) -> Option<Self> {
        let (count, rest) = part.split_first_chunk()?;
        let (stored, rest) = rest.split_first_chunk()?;
        let (cumulative, rest) = rest.split_first_chunk()?;
        let _raw_bytes = rest.first_chunk::<4>()?;
        let head = Self {
            first,
            count: u32::from_be_bytes(*count),
            stored_bytes: u32::from_be_bytes(*stored),
            cumulative_bytes: u64::from_be_bytes(*cumulative),
        };
        (head.count > 0).then_some(head)
    }
}

/// Writes consecutive events as chunks, each as its parts: head and the parts' values.
pub fn write_chunks(first: u64, drafts: &[Draft], mut cumulative_bytes: u64) -> Vec<(ChunkHead, Vec<Vec<u8>>)> {
    let mut chunks = Vec::new();
    let (mut raw, mut count, mut at) = (Vec::new(), 0_u32, first);
    let mut close = |raw: &mut Vec<u8>, count: &mut u32, at: &mut u64| {
        if *count == 0 {
            return;
        }
        let mut stored = vec![0; ChunkHead::BYTES];
        stored.extend_from_slice(&compress(raw));
        let stored_bytes = u32::try_from(stored.len()).expect("a chunk is bounded by the event's size limit");
        let raw_bytes = u32::try_from(raw.len()).expect("a chunk is bounded by the event's size limit");
        cumulative_bytes += u64::from(stored_bytes);
        let head = ChunkHead { first: *at, count: *count, stored_bytes, cumulative_bytes };
        stored[..4].copy_from_slice(&count.to_be_bytes());
        stored[4..8].copy_from_slice(&stored_bytes.to_be_bytes());
        stored[8..16].copy_from_slice(&cumulative_bytes.to_be_bytes());
        stored[16..20].copy_from_slice(&raw_bytes.to_be_bytes());
        chunks.push((head, stored.chunks(VALUE_MAX_BYTES).map(<[u8]>::to_vec).collect()));
        *at += u64::from(*count);
        *count = 0;
        raw.clear();
    };
    for draft in drafts {
        if !raw.is_empty() && raw.len() + draft.data.len() > CHUNK_MAX_BYTES {
            close(&mut raw, &mut count, &mut at);
        }
        write_draft(draft, &mut raw);
        count += 1;
    }
    close(&mut raw, &mut count, &mut at);
    chunks
}

/// Reads all events of a chunk from its joined parts; `None` if they are not what was written.
pub fn read_chunk(first: u64, stored: &[u8]) -> Option<Vec<Event>> {
    let head = ChunkHead::read(first, stored)?;
    let raw_bytes = u32::from_be_bytes(stored.get(16..20)?.try_into().ok()?);
    let block = stored.get(ChunkHead::BYTES..usize::try_from(head.stored_bytes).ok()?)?;
    let raw_bytes = usize::try_from(raw_bytes).ok().filter(|&bytes| bytes <= RAW_MAX_BYTES)?;
    let raw = zstd::bulk::decompress(block, raw_bytes).ok()?;
    let mut rest = raw.as_slice();
    let events: Option<Vec<Event>> =
        (first..=head.last()).map(|sequence| Some(Event { sequence, draft: read_draft(&mut rest)? })).collect();
    events.filter(|_| rest.is_empty())
}

/// Level 1: twice as small as LZ4 on these texts, and reading it is as good as free.
fn compress(raw: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(raw, 1).expect("memory for a chunk is had, and its bound is zstd's own")
}

fn write_draft(draft: &Draft, out: &mut Vec<u8>) {
    out.push(draft.event_type as u8);
    out.extend_from_slice(&draft.content.0);
    write_text(draft.connection.as_deref().unwrap_or_default(), out);
    write_text(&draft.subject, out);
    write_text(&draft.time, out);
    write_text(&draft.data, out);
}

fn read_draft(from: &mut &[u8]) -> Option<Draft> {
    let event_type = *EventType::ALL.get(usize::from(read_bytes::<1>(from)?[0]))?;
    let content = ContentId(*read_bytes::<32>(from)?);
    let connection = read_text(from)?;
    Some(Draft {
        event_type,
        connection: (!connection.is_empty()).then_some(connection),
        subject: read_text(from)?,
        time: read_text(from)?,
        content,
        data: read_text(from)?,
    })
}

/// Appends a text behind its length.
pub fn write_text(text: &str, out: &mut Vec<u8>) {
    write_number(text.len() as u64, out);
    out.extend_from_slice(text.as_bytes());
}

/// Takes a text as [`write_text`] left it.
pub fn read_text(from: &mut &[u8]) -> Option<String> {
    let bytes = usize::try_from(read_number(from)?).ok()?;
    let (text, rest) = from.split_at_checked(bytes)?;
    *from = rest;
    String::from_utf8(text.to_vec()).ok()
}

/// Appends a number, seven bits a byte, the lowest first.
pub fn write_number(mut number: u64, out: &mut Vec<u8>) {
    while number > 0x7f {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push((number & 0x7f) as u8);
}

/// Takes a number as [`write_number`] left it.
pub fn read_number(from: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..u64::BITS).step_by(7) {
        let [byte] = *read_bytes::<1>(from)?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// Takes `N` bytes.
pub fn read_bytes<'a, const N: usize>(from: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (bytes, rest) = from.split_first_chunk()?;
    *from = rest;
    Some(bytes)
}
