//! The outbox against a model: random shop days with crashes between any two steps.
//!
//! The model is what a reader may rely on: a list of events, what was seen, cursors and gaps, and what is remembered. A commit that a crash
//! cut off may be there or not, but whole, and only if nobody was told that it failed.

mod known;

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;

use self::known::{Answer, Model, Told};
use super::{
    Begin, Capture, ClosingDraft, Ended, Level, Outbox, OutboxError, StoredVerdict, chain_begin, chain_next,
    engine::{apply, flush},
    fixture::{End, SHOP, Shop, gap, notice, now, page, read_all, sale, unreadable},
    layout::{self, ChunkHead},
    open_db,
};
use crate::{
    by_hand::{Statement, handle_of_gap, handle_of_record},
    config::Acknowledge,
    content::ContentId,
    event::{EventType, StreamId},
    gap::Gap,
};

/// How far a commit gets before the process ends.
#[derive(Debug, Clone, Copy)]
enum Reached {
    Staged,
    Applied,
    Flushed,
}

#[derive(Debug, Clone, Copy)]
enum Word {
    True,
    Forged,
    TooHigh,
    OtherStream,
}

#[derive(Debug, Clone)]
enum Op {
    Page(Answer),
    CutPage(Answer, Reached, End),
    Acknowledge(u64),
    Tend,
    Stored(u64, Word),
    Stop,
    End(End),
    /// With what is kept, for a word of HQ that has this token, or without.
    BeginStream(Option<u32>),
    Days(u64),
    ForgetKept,
    Nonce(u8),
    /// A broker, and the number that it holds.
    Retained(u8, u64),
    OrderTakeOver,
    ByHand(ByHand),
}

/// What a person ends.
#[derive(Debug, Clone, Copy)]
enum ByHand {
    Gap(u32),
    Record(u32),
}

/// Now and then nothing at all happened but that the cursor moved.
fn answer() -> impl Strategy<Value = Answer> {
    let quiet = Answer {
        sales: Vec::new(),
        unreadable: Vec::new(),
        opened: Vec::new(),
        closed: Vec::new(),
        notices: 0,
        closing: false,
        moves: true,
    };
    prop_oneof![3 => news(), 1 => Just(quiet)]
}

fn news() -> impl Strategy<Value = Answer> {
    (
        prop::collection::vec((0_u32..24, 0_u32..3, 0_i64..5), 0..12),
        prop::collection::vec(0_u32..4, 0..2),
        prop::collection::vec(0_u32..3, 0..2),
        prop::collection::vec(0_u32..3, 0..2),
        0_u32..2,
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(sales, unreadable, opened, closed, notices, closing, moves)| Answer {
            sales,
            unreadable,
            opened,
            closed,
            notices,
            closing,
            moves,
        })
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![Just(End::Killed), Just(End::Power), any::<u64>().prop_map(End::Torn)]
}

fn op() -> impl Strategy<Value = Op> {
    let reached = prop_oneof![Just(Reached::Staged), Just(Reached::Applied), Just(Reached::Flushed)];
    let word = prop_oneof![4 => Just(Word::True), 1 => Just(Word::Forged), 1 => Just(Word::TooHigh),
        1 => Just(Word::OtherStream)];
    prop_oneof![
        8 => answer().prop_map(Op::Page),
        3 => (answer(), reached, end()).prop_map(|(answer, reached, end)| Op::CutPage(answer, reached, end)),
        4 => (0_u64..30).prop_map(Op::Acknowledge),
        3 => Just(Op::Tend),
        4 => (0_u64..30, word).prop_map(|(back, word)| Op::Stored(back, word)),
        1 => Just(Op::Stop),
        2 => end().prop_map(Op::End),
        1 => Just(Op::BeginStream(None)),
        1 => any::<u32>().prop_map(|token| Op::BeginStream(Some(token))),
        1 => (0_u64..10).prop_map(Op::Days),
        3 => prop_oneof![(0_u32..3).prop_map(ByHand::Gap), (0_u32..4).prop_map(ByHand::Record)].prop_map(Op::ByHand),
        1 => prop_oneof![Just(Op::ForgetKept), Just(Op::OrderTakeOver)],
        2 => prop_oneof![
            any::<u8>().prop_map(Op::Nonce),
            (0_u8..3, 0_u64..50).prop_map(|(broker, number)| Op::Retained(broker, number)),
        ],
    ]
}

struct Run {
    shop: Shop,
    outbox: Option<Outbox>,
    model: Model,
    mode: Acknowledge,
    stream: String,
    cursors: u32,
    /// How far the clock has moved.
    days: u64,
}

impl Run {
    fn new(mode: Acknowledge, max_bytes: u64) -> Self {
        let mut shop = Shop::new();
        shop.options.max_bytes = max_bytes;
        let outbox = shop.open_sound();
        outbox.take_generation(1, true, std::collections::BTreeMap::new()).unwrap();
        let stream = outbox.stream().unwrap().id.to_string();
        Self { shop, outbox: Some(outbox), model: Model::default(), mode, stream, cursors: 0, days: 0 }
    }

    fn now(&self) -> DateTime<Utc> {
        now() + TimeDelta::days(i64::try_from(self.days).unwrap())
    }

    fn outbox(&self) -> &Outbox {
        self.outbox.as_ref().expect("the store is open between two steps")
    }

    fn capture_of(&mut self, answer: &Answer) -> Capture {
        self.cursors += 1;
        let records = answer.sales.iter().map(|&(id, version, hours)| sale(id, version, hours)).collect();
        let mut closing = notice("a day");
        (closing.event_type, closing.subject) = (EventType::Closing, "closing".to_owned());
        let day = now().date_naive();
        Capture {
            quarantined: answer.unreadable.iter().map(|&number| unreadable(number)).collect(),
            gaps_opened: answer.opened.iter().map(|&number| gap(number)).collect(),
            gaps_closed: answer.closed.iter().map(|&number| gap(number)).collect(),
            closings: answer
                .closing
                .then(|| ClosingDraft { day, digest: vec![1], draft: closing })
                .into_iter()
                .collect(),
            notices: (0..answer.notices).map(|_| notice("something")).collect(),
            cursor: answer.moves.then(|| self.cursors.to_be_bytes().to_vec()),
            ..page(self.outbox(), records)
        }
    }

    fn step(&mut self, op: &Op) {
        match op {
            Op::Page(answer) => {
                let capture = self.capture_of(answer);
                match self.outbox().capture(capture) {
                    Ok(captured) => {
                        let before = self.model.durable();
                        self.model.capture(answer, self.cursors);
                        assert_eq!(captured.events, self.model.durable() - before);
                    }
                    Err(OutboxError::Full { queued_bytes, limit_bytes }) => {
                        assert!(queued_bytes >= limit_bytes);
                        assert_eq!(self.outbox().level().kept_bytes, 0, "what is kept goes first");
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            Op::CutPage(answer, reached, end) => {
                let capture = self.capture_of(answer);
                let outbox = self.outbox.take().unwrap();
                let syncs = self.shop.syncs();
                commit_until(&outbox, capture, *reached);
                // A sync that returned before the commit began is not undone by any cut.
                let end = if self.shop.syncs() == syncs { end.whole() } else { *end };
                self.shop.end(outbox, end);
                let mut with = self.model.clone();
                let news = with.capture(answer, self.cursors);
                self.reopen(news.then_some(with), matches!(reached, Reached::Flushed) && end == end.whole());
            }
            Op::Acknowledge(back) => {
                let level = self.outbox().level();
                let number = level.durable.saturating_sub(*back);
                self.outbox().acknowledge(level.epoch, number);
                self.outbox().acknowledge(level.epoch + 1, level.durable);
                self.model.acknowledged = self.model.acknowledged.max(number);
            }
            Op::Tend => {
                assert_eq!(self.outbox().tend(self.mode, true, self.now()).unwrap(), Vec::new());
                if self.mode == Acknowledge::Broker {
                    self.model.released = self.model.released.max(self.model.acknowledged);
                }
            }
            Op::Stored(back, word) => self.stored(*back, *word),
            Op::Stop => {
                let outbox = self.outbox.take().unwrap();
                outbox.settle(self.mode).unwrap();
                drop(outbox);
                if self.mode == Acknowledge::Broker {
                    self.model.released = self.model.released.max(self.model.acknowledged);
                }
                self.model.cursor = self.model.waiting.take().or(self.model.cursor);
                let settled = (self.model.released, self.model.acknowledged);
                self.reopen(None, false);
                assert_eq!((self.model.released, self.model.acknowledged), settled, "a stop keeps both cursors");
            }
            Op::End(end) => {
                let outbox = self.outbox.take().unwrap();
                self.shop.end(outbox, end.whole());
                self.reopen(None, false);
            }
            Op::BeginStream(token) => self.begin_stream(token.map(|token| token.to_string())),
            Op::Days(days) => self.days += days,
            Op::ForgetKept => {
                self.outbox().forget_kept().unwrap();
                assert_eq!(self.outbox().level().kept_bytes, 0);
            }
            Op::Nonce(nonce) => {
                self.outbox().add_nonce(&nonce.to_string()).unwrap();
                self.model.nonces.insert(*nonce);
            }
            Op::Retained(broker, number) => {
                let stream = StreamId::parse(&self.stream).unwrap();
                self.outbox().note_retained(&broker.to_string(), stream, *number).unwrap();
                let known = self.model.retained.entry(*broker).or_default();
                if known.0 != self.stream {
                    *known = (self.stream.clone(), BTreeSet::new());
                }
                known.1.insert(*number);
                assert_eq!(self.outbox().retained(&broker.to_string()).unwrap().acknowledged, *number);
            }
            Op::ByHand(what) => self.end_by_hand(*what),
            Op::OrderTakeOver => {
                let number = self.model.take_over.unwrap_or(self.model.history.len() as u64);
                self.model.take_over = Some(number);
                assert_eq!(self.outbox().order_take_over().unwrap(), number - self.model.base as u64);
            }
        }
        self.check();
    }

    /// What a person's word did is what the model says of it, and a second one changes nothing.
    fn end_by_hand(&mut self, what: ByHand) {
        let by = Statement::new("Sari", "the till was broken").unwrap();
        let say = |run: &Self, by: &Statement| match what {
            ByHand::Gap(number) => run.outbox().close_gap(&handle_of_gap(SHOP, &gap(number)), by, now()),
            ByHand::Record(number) => run.outbox().dismiss(&handle_of_record(SHOP, &unreadable(number)), by, now()),
        };
        let mut with = self.model.clone();
        let (ends, is_ended) = match what {
            ByHand::Gap(number) => (with.close_by_hand(gap(number)), self.model.closed_by_hand.contains(&gap(number))),
            ByHand::Record(number) => (with.dismiss(number), self.model.dismissed.contains(&number)),
        };
        match say(self, &by) {
            Ok(Ended::Now) => assert!(ends),
            Ok(Ended::Before { by: before, .. }) => assert!(is_ended && before == by),
            Ok(Ended::Unknown) => assert!(!ends && !is_ended),
            other => panic!("{other:?}"),
        }
        self.model = with;
        let another = Statement::new("Budi", "me too").unwrap();
        let again = say(self, &another).unwrap();
        let stands = matches!(&again, Ended::Before { by: before, .. } if *before == by);
        assert!(if ends || is_ended { stands } else { again == Ended::Unknown }, "{again:?}");
    }

    fn begin_stream(&mut self, token: Option<String>) {
        let keep = token.is_some();
        let base =
            if keep { self.outbox().writer().removed.through } else { self.model.base as u64 + self.model.released };
        let begin = Begin { generation: Some(2), proven: keep, keep, restart_token: token.clone(), ..Begin::default() };
        self.outbox().begin_stream(begin).unwrap();
        self.model.forget_stream(base, token);
        assert_eq!(self.outbox().level().generation_proven, keep);
        let stream = self.outbox().stream().unwrap().id.to_string();
        assert_ne!(std::mem::replace(&mut self.stream, stream), self.stream);
    }

    fn stored(&mut self, back: u64, word: Word) {
        let model = &mut self.model;
        let outbox = self.outbox.as_ref().unwrap();
        let through = match word {
            Word::TooHigh => model.durable() + 1,
            // Whatever the broker has acknowledged.
            _ => model.durable().saturating_sub(back),
        };
        let stream = StreamId::parse(&self.stream).unwrap();
        let said = if matches!(word, Word::OtherStream) { StreamId([7; 16]) } else { stream };
        // HQ's own chain, over everything it got of this stream.
        let mut chain = chain_begin(stream);
        for told in model.history.iter().skip(model.base).take(usize::try_from(through).unwrap()) {
            chain = chain_next(chain, told.content);
        }
        if matches!(word, Word::Forged) {
            chain.0[0] ^= 1;
        }
        let expected = match word {
            Word::OtherStream => StoredVerdict::OtherStream,
            _ if through <= model.released => StoredVerdict::Stale,
            Word::TooHigh => StoredVerdict::TooHigh,
            Word::Forged => StoredVerdict::Forged,
            Word::True => StoredVerdict::Released,
        };
        assert_eq!(outbox.stored(said, through, chain).unwrap(), expected);
        if expected == StoredVerdict::Released {
            model.released = through;
            model.acknowledged = model.acknowledged.max(through);
        }
    }

    /// Opens after an end. `with` is the model with the commit that was cut off, which is there if `surely`.
    fn reopen(&mut self, with: Option<Model>, surely: bool) {
        let outbox = self.shop.open_sound();
        let level = outbox.level();
        if let Some(with) = with {
            let arrived = level.durable == with.durable();
            assert!(arrived || !surely, "a flushed commit is lost");
            if arrived {
                self.model = with;
            }
        }
        self.model.waiting = None;
        assert!(level.released <= self.model.released && level.acknowledged <= self.model.acknowledged);
        (self.model.released, self.model.acknowledged) = (level.released, level.acknowledged);
        for (broker, (_, numbers)) in &mut self.model.retained {
            let found = outbox.retained(&broker.to_string()).expect("the first word of a broker is flushed");
            assert!(numbers.contains(&found.acknowledged));
            *numbers = BTreeSet::from([found.acknowledged]);
        }
        self.outbox = Some(outbox);
        // What was seen agrees with what was stored: the same records again are no news.
        let known: Vec<_> = self.model.seen.keys().copied().filter(|id| !self.model.aside.contains(id)).collect();
        for id in known {
            let (content, _) = self.model.seen[&id];
            let versions = (0..3).flat_map(|version| (0..5).map(move |hours| sale(id, version, hours)));
            let same = versions.into_iter().find(|record| record.content_id() == content).unwrap();
            let captured = self.outbox().capture(page(self.outbox(), vec![same])).unwrap();
            assert_eq!(captured.events, 0, "record {id} was stored and is not known");
        }
        self.check();
    }

    fn check(&mut self) {
        let outbox = self.outbox.as_ref().unwrap();
        let level = outbox.level();
        assert_eq!(outbox.stream().unwrap().id.to_string(), self.stream);
        assert_eq!(level.durable, self.model.durable());
        assert_eq!((level.released, level.acknowledged), (self.model.released, self.model.acknowledged));
        self.check_room(&level);
        assert_eq!(level.restart_token, self.model.token);
        assert_eq!(level.take_over, self.model.take_over.map(|number| number - self.model.base as u64));
        assert!(self.model.nonces.iter().all(|nonce| outbox.knows_nonce(&nonce.to_string())));
        assert!(!outbox.knows_nonce("another box's"));
        for (broker, (stream, _)) in &self.model.retained {
            assert_eq!(outbox.retained(&broker.to_string()).unwrap().stream, *stream);
        }
        assert!((1..=level.released + 1).contains(&level.first_kept));
        // Whoever asks for what is gone gets the first that is there.
        let events = read_all(outbox, 0).unwrap();
        assert_eq!(events.len() as u64, level.durable + 1 - level.first_kept);
        for (number, event) in (level.first_kept..).zip(&events) {
            assert_eq!(event.sequence, number);
            let told = &mut self.model.history[self.model.base + usize::try_from(number - 1).unwrap()];
            if told.content == ContentId([0; 32]) {
                // The model does not compute it; from here on it must not change.
                told.content = event.draft.content;
            }
            let data: serde_json::Value = serde_json::from_str(&event.draft.data).unwrap();
            let revision = data.get("revision").map(|n| n.as_u64().unwrap());
            let draft = &event.draft;
            let seen =
                Told { event_type: draft.event_type, subject: draft.subject.clone(), content: draft.content, revision };
            assert_eq!(seen, *told, "event {number}");
        }
        let gaps: BTreeSet<Gap> = outbox.open_gaps().values().flatten().cloned().collect();
        assert_eq!(gaps, self.model.gaps);
        let closed: BTreeSet<Gap> = outbox.gaps_closed_by_hand(SHOP).into_iter().map(|closed| closed.gap).collect();
        assert_eq!(closed, self.model.closed_by_hand);
        let asides = outbox.put_aside().unwrap().remove(SHOP).unwrap_or_default();
        let listed: BTreeSet<_> = asides.iter().map(|aside| aside.quarantined.hash).collect();
        assert_eq!(asides.len(), listed.len());
        assert_eq!(listed, self.model.aside.iter().map(|&number| unreadable(number).hash).collect());
        let dismissed = asides.iter().filter(|aside| aside.dismissed.is_some());
        let dismissed: BTreeSet<_> = dismissed.map(|aside| aside.quarantined.hash).collect();
        assert_eq!(dismissed, self.model.dismissed.iter().map(|&number| unreadable(number).hash).collect());
        let cursor = outbox.cursor(SHOP).unwrap().map(|cursor| u32::from_be_bytes(cursor.try_into().unwrap()));
        assert_eq!(cursor, self.model.waiting.or(self.model.cursor));
        let blobs = self.shop.store().join("blobs");
        assert_eq!(std::fs::read_dir(blobs).map_or(0, Iterator::count), 0, "a value became a file of its own");
    }
}

impl Run {
    /// What the chunks in the store take, beside what the level says of them.
    fn check_room(&self, level: &Level) {
        let outbox = self.outbox();
        let released = self.model.base as u64 + self.model.released;
        let (mut kept_bytes, mut queued_bytes) = (0, 0);
        let db = outbox.db();
        for row in open_db(db.as_ref()).unwrap().scan_prefix([layout::QUEUE]) {
            let (key, value) = row.unwrap();
            let Some((first, 0)) = layout::read_chunk_key(&key) else { continue };
            let head = ChunkHead::read(first, &value).unwrap();
            let bytes = if head.last() <= released { &mut kept_bytes } else { &mut queued_bytes };
            *bytes += u64::from(head.stored_bytes);
        }
        assert_eq!((level.kept_bytes, level.queued_bytes), (kept_bytes, queued_bytes));
        assert!(level.kept_bytes <= self.shop.options.max_bytes / 8);
        assert!(level.kept_bytes == 0 || level.kept_bytes + level.queued_bytes <= level.limit_bytes);
    }
}

/// A capture that gets no further than this.
fn commit_until(outbox: &Outbox, capture: Capture, reached: Reached) {
    let mut writer = outbox.writer();
    let db = outbox.db();
    let tree = open_db(db.as_ref()).unwrap();
    let Some(mut staged) = outbox.stage(&mut writer, tree, capture).unwrap() else { return };
    outbox.make_room(&writer, tree, &mut staged).unwrap();
    if matches!(reached, Reached::Staged) {
        return;
    }
    apply(tree, staged.batch).unwrap();
    if matches!(reached, Reached::Flushed) {
        flush(tree).unwrap();
    }
}

fn run(mode: Acknowledge, max_bytes: u64, ops: &[Op]) {
    let mut run = Run::new(mode, max_bytes);
    for op in ops {
        run.step(op);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(48),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_end_loses_or_repeats_anything(
        broker in any::<bool>(),
        // With room for everything, for what is kept at times, and hardly for what waits.
        max_bytes in prop_oneof![Just(64 * 1024 * 1024), Just(96 * 1024), Just(32 * 1024)],
        ops in prop::collection::vec(op(), 1..24),
    ) {
        run(if broker { Acknowledge::Broker } else { Acknowledge::Feed }, max_bytes, &ops);
    }
}

#[test]
fn what_is_refused_names_the_new_stream() {
    let shop = Shop::new();
    let outbox = shop.open_sound();
    let before = outbox.level().epoch;
    outbox.begin_stream(Begin::default()).unwrap();
    let stale = Capture { epoch: before, ..page(&outbox, vec![sale(1, 0, 1)]) };
    assert!(matches!(outbox.capture(stale), Err(OutboxError::NewStream)));
    assert!(matches!(outbox.read(before, 0, 1), Err(OutboxError::NewStream)));
}
