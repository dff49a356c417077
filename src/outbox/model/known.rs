//! What must hold, whatever ends the process.

use std::collections::{BTreeMap, BTreeSet};

use super::super::fixture::{gap, sale, unreadable};
use crate::{content::ContentId, event::EventType, gap::Gap};

/// What one poll brings.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    /// Id, version, and how many hours ago.
    pub(super) sales: Vec<(u32, u32, i64)>,
    pub(super) unreadable: Vec<u32>,
    pub(super) opened: Vec<u32>,
    pub(super) closed: Vec<u32>,
    pub(super) notices: u32,
    pub(super) closing: bool,
    pub(super) moves: bool,
}

/// An event as the model knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) event_type: EventType,
    pub(super) subject: String,
    pub(super) content: ContentId,
    pub(super) revision: Option<u64>,
}

/// What must hold.
#[derive(Debug, Clone, Default)]
pub(super) struct Model {
    /// Every event of the store's life, those that are gone included.
    pub(super) history: Vec<Told>,
    /// How many of them came before the stream.
    pub(super) base: usize,
    /// The stream's cursors.
    pub(super) released: u64,
    pub(super) acknowledged: u64,
    /// Content and revision of each record.
    pub(super) seen: BTreeMap<u32, (ContentId, u64)>,
    pub(super) unreadable: BTreeSet<u32>,
    /// Those that are listed.
    pub(super) aside: BTreeSet<u32>,
    pub(super) gaps: BTreeSet<Gap>,
    /// Gaps that a person closed, and the listed records that one dismissed.
    pub(super) closed_by_hand: BTreeSet<Gap>,
    pub(super) dismissed: BTreeSet<u32>,
    /// The cursor in the store, and the one that waits.
    pub(super) cursor: Option<u32>,
    pub(super) waiting: Option<u32>,
    pub(super) token: Option<String>,
    /// In the numbers of the store's life.
    pub(super) take_over: Option<u64>,
    pub(super) nonces: BTreeSet<u8>,
    /// By broker: the stream, and the numbers of it that it may hold by what a store remembers.
    pub(super) retained: BTreeMap<u8, (String, BTreeSet<u64>)>,
}

impl Model {
    /// Takes a whole answer in, as a commit does; tells whether there was news.
    pub(super) fn capture(&mut self, answer: &Answer, cursor: u32) -> bool {
        let before = self.history.len();
        let mut read = Vec::new();
        for &(id, version, hours) in &answer.sales {
            let record = sale(id, version, hours);
            let content = record.content_id();
            // Listed with its id, and not unreadable in the same answer.
            if id % 2 == 1 && !answer.unreadable.contains(&id) && self.aside.contains(&id) && !read.contains(&id) {
                read.push(id);
            }
            let known = self.seen.get(&id).copied();
            if known.is_some_and(|(known, _)| known == content) {
                continue;
            }
            let revision = known.map_or(1, |(_, revision)| revision + 1);
            self.seen.insert(id, (content, revision));
            let subject = format!("transaction/{id}");
            self.history.push(Told { event_type: EventType::Transaction, subject, content, revision: Some(revision) });
        }
        let mut tell = |event_type, subject| {
            self.history.push(Told { event_type, subject, content: ContentId([0; 32]), revision: None });
        };
        self.aside.retain(|number| !read.contains(number));
        self.dismissed.retain(|number| !read.contains(number));
        // What was read and is as bad as before again is news.
        self.unreadable.retain(|number| !read.contains(number));
        for &number in &answer.unreadable {
            if self.unreadable.insert(number) {
                self.aside.insert(number);
                tell(EventType::Quarantine, format!("quarantine/{}", unreadable(number).hash));
            }
        }
        for gap in answer.opened.iter().map(|&number| gap(number)) {
            if !self.closed_by_hand.contains(&gap) && self.gaps.insert(gap.clone()) {
                tell(EventType::Gap, format!("gap/{}", gap.id()));
            }
        }
        for gap in answer.closed.iter().map(|&number| gap(number)) {
            if self.gaps.remove(&gap) || self.closed_by_hand.remove(&gap) {
                tell(EventType::Gap, format!("gap/{}", gap.id()));
            }
        }
        if answer.closing {
            tell(EventType::Closing, "closing".to_owned());
        }
        for id in read {
            tell(EventType::Notice, format!("notice/quarantine_read/transaction/{id}"));
        }
        for _ in 0..answer.notices {
            tell(EventType::Notice, "notice/test".to_owned());
        }
        let news = self.history.len() > before;
        if answer.moves {
            self.waiting = Some(cursor);
        }
        if news {
            self.cursor = self.waiting.take().or(self.cursor);
        }
        news
    }

    /// A person closes a gap; tells whether that ends it now.
    pub(super) fn close_by_hand(&mut self, gap: Gap) -> bool {
        let open = self.gaps.remove(&gap);
        if open {
            self.tell_by_hand(EventType::Gap, format!("gap/{}", gap.id()));
            self.closed_by_hand.insert(gap);
        }
        open
    }

    /// A person dismisses a record; tells whether that ends it now.
    pub(super) fn dismiss(&mut self, number: u32) -> bool {
        let listed = self.aside.contains(&number) && self.dismissed.insert(number);
        if listed {
            self.tell_by_hand(EventType::Quarantine, format!("quarantine/{}", unreadable(number).hash));
        }
        listed
    }

    fn tell_by_hand(&mut self, event_type: EventType, subject: String) {
        self.history.push(Told { event_type, subject, content: ContentId([0; 32]), revision: None });
        // Whatever waits goes along with every commit.
        self.cursor = self.waiting.take().or(self.cursor);
    }

    /// The stream's events.
    pub(super) fn durable(&self) -> u64 {
        (self.history.len() - self.base) as u64
    }

    /// A new stream begins after so many events of the store's life.
    pub(super) fn forget_stream(&mut self, base: u64, token: Option<String>) {
        let old = std::mem::take(self);
        *self = Self {
            history: old.history,
            base: usize::try_from(base).unwrap(),
            gaps: old.gaps,
            closed_by_hand: old.closed_by_hand,
            aside: old.aside,
            dismissed: old.dismissed,
            token: token.or(old.token),
            nonces: old.nonces,
            retained: old.retained,
            ..Self::default()
        };
    }
}
