//! Polling: one named thread per connection drives its connector.
//!
//! The thread asks the connector for the next step, keeps to the budget, sends the request, and stores what the answer
//! brought together with the cursor in one commit. Whatever fails, the watermark stays where it was: the connector is
//! made anew from the cursor that is stored. Everything that waits here can be interrupted.

mod account;
mod backoff;
pub mod budget;
mod clocks;
mod closings;
mod credential;
mod introduction;
mod reception;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, TimeZone, Utc};

use self::{
    account::{Verdict as OfAccount, weigh},
    backoff::Backoff,
    budget::Budget,
    clocks::{Clocks, Fault},
    closings::Closings,
    credential::{Credential, REFUSED_WAIT, Verdict},
    introduction::Introduction,
    reception::{Meaning, Reception},
};
use crate::{
    clock::Clock,
    closing::Calendar,
    health::{Condition, Health},
    instant,
    notice::Notice,
    outbox::{Capture, Captured, Outbox, OutboxError, OutboxMemory},
    pos::{
        connector::{Begin, Connector, Step, Yield},
        http::{Answer, Ask, Failure},
        request::Request,
    },
    progress::Progress,
    secret::{Secret, SecretAt},
    signal::gives_receipt,
    stop::Stop,
    watchdog::Heartbeat,
};

/// Wait before a source that answers nonsense is asked again, at least.
const UNREADABLE_WAIT: Duration = Duration::from_secs(15);

/// A connector that wants to wait is asked again after this long at least.
const STEP_MIN: Duration = Duration::from_millis(100);

/// A clock that was set back by more than this makes every plan anew.
const SET_BACK: TimeDelta = TimeDelta::minutes(1);

/// Wait while the outbox is full or closed.
const NO_ROOM_WAIT: Duration = Duration::from_secs(5);

/// A change of the clocks' difference by less than this, in seconds, is no news: a server tells whole seconds, later.
const CLOCK_STEP_S: i64 = 5;

/// A credential that was refused, or is not there, is looked at this often: a new one is taken up at once.
const SECRET_LOOK: Duration = Duration::from_secs(5);

/// Credentials that were refused are shown a second time after this, before anybody is told.
const SECOND_TRY: Duration = Duration::from_secs(5);

/// A step is over within this: its request, a night's closings, a commit to a slow card, each with time to spare.
const STEP_MAX: Duration = Duration::from_secs(180);

/// Makes a connector from what is stored.
pub type MakeConnector = Box<dyn Fn(Begin) -> Box<dyn Connector> + Send>;

/// What one connection's thread works with.
pub struct Poll {
    /// The connection's name.
    pub connection: String,
    /// The system's name, for messages.
    pub system: &'static str,
    /// Makes its connector.
    pub make: MakeConnector,
    /// Asks its server.
    pub client: Box<dyn Ask>,
    /// Where its credential stands.
    pub secret: SecretAt,
    /// What a technician does when that is refused.
    pub remedy: String,
    /// How often it may be asked.
    pub requests_per_minute: u32,
    /// The outlet's business days.
    pub calendar: Calendar,
    /// How long what was seen is remembered.
    pub retention: TimeDelta,
    /// Where everything goes.
    pub outbox: Arc<Outbox>,
    /// Where everything is reported.
    pub health: Arc<Health>,
    /// The outlet's time.
    pub clock: Clock,
    /// The word to stop.
    pub stop: Stop,
}

/// A connection's poll between two steps.
pub struct Poller {
    poll: Poll,
    connector: Box<dyn Connector>,
    epoch: u64,
    credential: Credential,
    introduction: Introduction,
    budget: Budget,
    backoff: Backoff,
    reception: Reception,
    closings: Closings,
    /// What persons had ended when the days were looked at last.
    ended_by_hand: u64,
    last_now: DateTime<Utc>,
    clocks: Clocks,
    /// The connector was made, or asked, by a clock that was wrong.
    clock_was_wrong: bool,
    /// From when on the connector was asked to read again.
    read_again: Option<DateTime<Utc>>,
    /// The ids of the account that answers, once they were held against those that are noted.
    weighed: Option<Vec<String>>,
    /// Another account answers than the one whose sales are stored: nothing is read.
    stranger: bool,
}

impl Poll {
    /// Polls until the word to stop, and shows that it moves.
    ///
    /// # Errors
    /// The store cannot be read at the start.
    pub fn run(self, heartbeat: &Heartbeat) -> Result<(), OutboxError> {
        heartbeat.promise(STEP_MAX);
        let mut poller = self.begin()?;
        // A thousand boxes that come back after a power cut must not ask at the same moment.
        let jitter = poller.backoff.jitter(Duration::from_secs(2));
        heartbeat.will_wait(jitter);
        let mut stopped = poller.wait(jitter);
        while !stopped {
            heartbeat.promise(STEP_MAX);
            let pause = poller.step();
            heartbeat.will_wait(poller.poll.clock.real(pause));
            stopped = poller.wait(pause);
        }
        Ok(())
    }

    /// Makes the connector from what is stored, for whoever takes the steps.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn begin(self) -> Result<Poller, OutboxError> {
        let now = self.clock.now();
        let (connector, epoch, secret) = self.resume(now)?;
        let read_to = self.outbox.cursor(&self.connection)?.and(connector.progress().watermark);
        let budget = Budget::new(self.requests_per_minute, now);
        let closings = Closings::new(&self.calendar, self.retention);
        let credential = Credential::new(self.secret.clone(), secret);
        Ok(Poller {
            poll: self,
            connector,
            epoch,
            credential,
            introduction: Introduction::default(),
            budget,
            backoff: Backoff::new(),
            reception: Reception::default(),
            closings,
            ended_by_hand: 0,
            last_now: now,
            clocks: Clocks::new(read_to, now),
            clock_was_wrong: false,
            read_again: None,
            weighed: None,
            stranger: false,
        })
    }

    fn resume(&self, now: DateTime<Utc>) -> Result<Resumed, OutboxError> {
        let epoch = self.outbox.level().epoch;
        let cursor = self.outbox.cursor(&self.connection)?;
        let mut gaps = self.outbox.open_gaps().get(&self.connection).cloned().unwrap_or_default();
        // What a person closed is not proven: its connector goes on trying, and does not find it anew.
        gaps.extend(self.outbox.gaps_closed_by_hand(&self.connection).into_iter().map(|closed| closed.gap));
        let memory = Arc::new(OutboxMemory::new(Arc::clone(&self.outbox), &self.connection));
        let secret = self.secret.read();
        let shown = secret.clone().unwrap_or_else(|_| Secret::new(""));
        Ok(((self.make)(Begin { secret: shown, cursor, gaps, memory, now }), epoch, secret))
    }
}

/// A connector, the store's epoch when it was made, and the credential that it was made with.
type Resumed = (Box<dyn Connector>, u64, Result<Secret, String>);

impl Poller {
    /// Does one thing; gives how long to wait before the next, in the outlet's time.
    pub fn step(&mut self) -> Duration {
        let own = self.poll.clock.now();
        self.clocks.passes(own);
        let now = self.clocks.followed(own);
        if now < self.last_now - SET_BACK {
            // Whatever was to be done later is now to be done much later.
            self.budget = Budget::new(self.poll.requests_per_minute, now);
            self.reception = Reception::default();
            self.last_now = now;
            return self.start_over(now);
        }
        self.last_now = now;
        if !self.has_room(now) {
            return NO_ROOM_WAIT;
        }
        if self.epoch != self.poll.outbox.level().epoch {
            return self.start_over(now);
        }
        let ended_by_hand = self.poll.outbox.level().ended_by_hand;
        if std::mem::replace(&mut self.ended_by_hand, ended_by_hand) != ended_by_hand {
            self.closings.ended_by_hand(now);
        }
        // No day is over because a wrong clock says so.
        let wrong = self.clock_was_wrong || now < earliest_now() || self.clocks.has_leapt(own);
        let closed = if wrong { Some(Duration::ZERO) } else { self.close_days(now) };
        let Some(pause) = closed else { return self.start_over(now) };
        if !pause.is_zero() {
            return pause;
        }
        let since = self.poll.outbox.level().read_again.get(&self.poll.connection).copied();
        if let Some(since) = since.filter(|since| self.read_again != Some(*since)) {
            self.connector.rewind(since);
            self.read_again = Some(since);
        }
        if let Some(pause) = self.wait_for_secret(now) {
            return pause;
        }
        if self.stranger && self.weighed.is_some() {
            // Perhaps another account answers to the same token by now, or a person says that it is the same.
            return self.start_over(now);
        }
        let request = match self.connector.next(now) {
            Step::Wait(until) => {
                let pause = (until - now).to_std().unwrap_or_default().max(STEP_MIN);
                return if self.credential.is_doubted(now) { pause.min(SECRET_LOOK) } else { pause };
            }
            Step::Ask(request) => request,
        };
        let wait = self.budget.wait(now);
        if !wait.is_zero() {
            return wait;
        }
        self.budget.spend(now);
        let answered = self.poll.client.ask(&request, &|status| self.connector.accepts(status));
        if self.poll.stop.is_given() {
            return Duration::ZERO;
        }
        let own = self.poll.clock.now();
        match answered {
            Ok(answer) => self.take(&request, answer, own),
            Err(failure) => self.failed(&request, &failure, self.clocks.followed(own)),
        }
    }

    fn take(&mut self, request: &Request, answer: Answer, own: DateTime<Utc>) -> Duration {
        self.budget.praise();
        let stepped = self.clocks.learn(answer.date, own, self.poll.clock.is_synchronised());
        let now = self.clocks.followed(own);
        self.reception.answered(request, now);
        self.tell_clocks(answer.date, own);
        if now < earliest_now() {
            self.clock_was_wrong = true;
            return UNREADABLE_WAIT;
        }
        if std::mem::take(&mut self.clock_was_wrong) || stepped {
            // How far back to begin, what to ask, and how often, was planned by another clock.
            self.budget = Budget::new(self.poll.requests_per_minute, now);
            self.last_now = now;
            return self.start_over(now);
        }
        let answer = Answer { date: self.clocks.bound(answer.date, own), ..answer };
        match self.connector.take(&answer, now) {
            Ok(found) => self.store(found, true, now),
            Err(fault) => {
                let text = format!("{} {request}: {fault}; nothing was taken from it", self.poll.system);
                self.trouble(Some((Condition::PosUnreadable, &text)), now);
                self.backoff.failed().max(UNREADABLE_WAIT)
            }
        }
    }

    /// Waits while there is no credential, or one that was refused, until another stands in its place or it is time to
    /// try the same again. `None`: there is nothing to wait for.
    fn wait_for_secret(&mut self, now: DateTime<Utc>) -> Option<Duration> {
        match self.credential.look(now) {
            Verdict::Use => return None,
            Verdict::Another => {
                tracing::info!(connection = %self.poll.connection, "poll: a new credential is taken up");
                return Some(self.start_over(now));
            }
            Verdict::Refused => {}
            Verdict::Missing(reason) => {
                let text = format!("{}: no credential: {reason}; {}", self.poll.system, self.poll.remedy);
                self.trouble(Some((Condition::PosRefused, &text)), now);
            }
        }
        Some(SECRET_LOOK)
    }

    /// Stores a yield and the cursor in one commit, unless it is of another account. `answered`: the source said
    /// something that was made sense of; a request that only failed is no sign that it does.
    fn store(&mut self, found: Yield, answered: bool, now: DateTime<Utc>) -> Duration {
        match self.keep_strangers_out(now) {
            Ok(None) => {}
            Ok(Some(pause)) => return pause,
            Err(error) => return self.not_stored(&error, now),
        }
        let gaps_moved = !found.gaps_opened.is_empty() || !found.gaps_closed.is_empty();
        let capture = Capture {
            connection: self.poll.connection.clone(),
            epoch: self.epoch,
            now,
            transactions: found.transactions,
            marks: found.marks,
            read_to: if found.quarantined.is_empty() { None } else { read_to(&self.connector.progress()) },
            quarantined: found.quarantined,
            vanished: found.vanished,
            gaps_opened: found.gaps_opened,
            gaps_closed: found.gaps_closed,
            notices: found.notices.iter().map(|notice| notice.draft(Some(&self.poll.connection), now)).collect(),
            closings: Vec::new(),
            cursor: Some(self.connector.cursor()),
            read_again: self.read_again,
        };
        match self.poll.outbox.capture(capture) {
            Ok(captured) => {
                self.stored(&captured, answered, now);
                self.closings.touched(&captured, gaps_moved, now);
                let mut refused = None;
                for (condition, text) in found.conditions {
                    if condition == Condition::PosRefused {
                        refused = text;
                        continue;
                    }
                    self.poll.health.set(condition, &self.poll.connection, text.as_deref(), now);
                }
                if answered {
                    self.backoff.succeeded();
                }
                // A source may refuse the credentials in an answer of another status than 401.
                let Some(text) = refused else {
                    if answered {
                        self.trouble(None, now);
                    }
                    return Duration::ZERO;
                };
                let remedy = self.poll.remedy.clone();
                self.refuse(&text, &remedy, now)
            }
            Err(error) => self.not_stored(&error, now),
        }
    }

    /// Holds the account that answers against the one that is noted; how long to wait if it is another.
    fn keep_strangers_out(&mut self, now: DateTime<Utc>) -> Result<Option<Duration>, OutboxError> {
        let account = self.connector.account();
        let Some(ids) = account.filter(|ids| self.weighed.as_ref() != Some(ids)) else { return Ok(None) };
        let Poll { connection, outbox, health, system, .. } = &self.poll;
        let noted = outbox.account(connection)?;
        let read_before = outbox.cursor(connection)?.is_some();
        match weigh(noted.as_ref(), &ids, read_before) {
            OfAccount::Same => {}
            OfAccount::Note(account, told) => {
                if let Some(text) = told {
                    tracing::info!(%connection, system, "{text}");
                    let notice = Notice::new("account_unproven", text);
                    outbox.tell(vec![notice.draft(Some(connection), now)], now)?;
                }
                outbox.note_account(connection, &account)?;
            }
            OfAccount::Stranger(text) => {
                let text = format!(
                    "{system}: {text}: nothing is read; give the box the credentials of the old account again; if it is \
                     the same shop all the same, `tillbox outbox same-account {connection}` says so; if it is another \
                     one, give this connection another name and add `{connection}` to retired-connections in [outbox]"
                );
                health.raise(Condition::PosUnfit, connection, &text, now);
                self.credential.refuse(now);
                (self.stranger, self.weighed) = (true, Some(ids));
                return Ok(Some(SECRET_LOOK));
            }
        }
        if std::mem::take(&mut self.stranger) {
            health.clear(Condition::PosUnfit, connection, now);
        }
        self.weighed = Some(ids);
        Ok(None)
    }

    fn stored(&mut self, captured: &Captured, answered: bool, now: DateTime<Utc>) {
        if captured.events > 0 {
            let Captured { new, changed, quarantined, .. } = captured;
            tracing::debug!(connection = %self.poll.connection, new, changed, quarantined, "poll: stored");
        }
        let receipts = captured.new_sales.iter().filter(|sold| gives_receipt(**sold, now)).count();
        self.poll.health.count_receipts(u64::try_from(receipts).unwrap_or(u64::MAX));
        let open_gaps = self.poll.outbox.open_gaps().values().map(Vec::len).sum();
        let progress = self.connector.progress();
        let connection = &self.poll.connection;
        let difference = self.poll.health.facts().connections.get(connection).and_then(|of| of.clock_difference_s);
        self.introduction.tell(connection, self.poll.system, &progress, difference);
        self.poll.health.update(|facts| {
            facts.open_gaps = open_gaps;
            let connection = facts.connections.entry(self.poll.connection.clone()).or_default();
            connection.progress = progress;
            if answered {
                connection.last_answer = Some(now);
            }
            if captured.quarantined > 0 {
                connection.put_aside = (connection.put_aside.0 + captured.quarantined, Some(now));
            }
        });
    }

    /// The outbox took nothing: the connector goes back to what is stored.
    fn not_stored(&mut self, error: &OutboxError, now: DateTime<Utc>) -> Duration {
        match error {
            OutboxError::Full { .. } => self.poll.health.raise(Condition::OutboxFull, "", &error.to_string(), now),
            OutboxError::NewStream => {}
            _ => self.poll.health.raise(Condition::StoreFailed, "", &error.to_string(), now),
        }
        self.start_over(now).max(NO_ROOM_WAIT)
    }

    fn failed(&mut self, request: &Request, failure: &Failure, now: DateTime<Utc>) -> Duration {
        if matches!(failure, Failure::Refused(_) | Failure::Unsendable(_)) {
            self.credential.doubt(now);
        }
        let meaning = self.reception.failed(request, failure, now);
        let text = format!("{} {request}: {failure}", self.poll.system);
        // Neither is known to be more than chance, so the connector asks the same again and begins nothing anew.
        match (meaning, failure) {
            (Meaning::Passing, _) => return SECOND_TRY,
            (Meaning::Limit, Failure::Busy { retry_after }) => {
                let chance = self.backoff.chance();
                self.budget.ease(*retry_after, now, chance);
                return self.limited(&text, now);
            }
            _ => {}
        }
        if let Failure::Busy { retry_after: Some(after) } = failure {
            self.budget.put_off(*after, now);
        }
        let trouble = Failure::Trouble(503);
        let told = if matches!(failure, Failure::Busy { .. }) { &trouble } else { failure };
        if let Some(found) = self.connector.failed(told, now) {
            let answered = matches!(failure, Failure::Refused(_) | Failure::Unexpected(_));
            return self.store(found, answered, now);
        }
        let progress = self.connector.progress();
        self.poll.health.update_connection(&self.poll.connection, |connection| connection.progress = progress);
        let remedy = self.poll.remedy.clone();
        match failure {
            Failure::TooMany { retry_after } => {
                let chance = self.backoff.chance();
                self.budget.complain(*retry_after, now, chance);
                self.limited(&text, now)
            }
            Failure::Refused(_) | Failure::Unsendable(_) => self.refuse(&text, &remedy, now),
            Failure::Barred { .. } if meaning == Meaning::Refusal => {
                let remedy = format!("let whoever runs it or the server admit this box; or {remedy}");
                self.refuse(&format!("{text}, and nothing else has answered for a while"), &remedy, now)
            }
            Failure::Barred { retry_after, .. } => {
                self.trouble(Some((Condition::PosUnreachable, &text)), now);
                let after = retry_after.map(|after| after.min(REFUSED_WAIT.to_std().unwrap_or_default()));
                if after.is_some() && !self.reception.is_away(now) {
                    let chance = self.backoff.chance();
                    self.budget.ease(after, now, chance);
                }
                self.backoff.failed().max(after.unwrap_or_default())
            }
            Failure::Untrusted(_) => {
                self.trouble(Some((Condition::PosRefused, &text)), now);
                self.backoff.failed().max(UNREADABLE_WAIT)
            }
            Failure::Unexpected(_) | Failure::TooLarge => {
                self.trouble(Some((Condition::PosUnreadable, &format!("{text}; check the base-url"))), now);
                self.backoff.failed().max(UNREADABLE_WAIT)
            }
            // One request is in trouble, and the source is there.
            Failure::Busy { .. } if !self.reception.is_away(now) => self.backoff.failed().max(self.budget.wait(now)),
            Failure::Unreachable(_) | Failure::TooSlow(_) | Failure::Trouble(_) | Failure::Busy { .. } => {
                self.trouble(Some((Condition::PosUnreachable, &text)), now);
                self.backoff.failed().max(self.budget.wait(now))
            }
        }
    }

    /// The source is there and asks for patience: that is told only where nothing else is answered meanwhile.
    fn limited(&self, text: &str, now: DateTime<Utc>) -> Duration {
        let wait = self.budget.wait(now);
        let until = TimeDelta::from_std(wait).map_or(now, |wait| now + wait);
        if self.reception.is_away(until) {
            self.trouble(Some((Condition::PosUnreachable, text)), now);
        }
        wait
    }

    /// Somebody has to come; meanwhile the same is tried now and then, and another credential is looked for.
    fn refuse(&mut self, text: &str, remedy: &str, now: DateTime<Utc>) -> Duration {
        let every = REFUSED_WAIT.num_minutes();
        let text = format!("{text}; the box tries again every {every} minutes; {remedy}");
        self.trouble(Some((Condition::PosRefused, &text)), now);
        self.credential.refuse(now);
        SECRET_LOOK
    }

    /// Sends the closings that are due. `None` asks to start over.
    fn close_days(&mut self, now: DateTime<Utc>) -> Option<Duration> {
        if !self.closings.are_due(now) {
            return Some(Duration::ZERO);
        }
        let connection = &self.poll.connection;
        let gaps = self.poll.outbox.open_gaps().get(connection).cloned().unwrap_or_default();
        let drafts = self.closings.drafts(&self.poll.outbox, connection, &gaps, &*self.connector, now);
        let result = drafts.and_then(|closings| {
            if closings.is_empty() {
                return Ok(());
            }
            let capture = Capture {
                connection: connection.clone(),
                epoch: self.epoch,
                now,
                closings,
                cursor: Some(self.connector.cursor()),
                read_again: self.read_again,
                ..Capture::default()
            };
            self.poll.outbox.capture(capture).map(|_| ())
        });
        match result {
            Ok(()) => Some(Duration::ZERO),
            Err(OutboxError::NewStream) => None,
            Err(error) => Some(self.not_stored(&error, now)),
        }
    }

    /// Makes the connector anew from what is stored.
    fn start_over(&mut self, now: DateTime<Utc>) -> Duration {
        match self.poll.resume(now) {
            Ok((connector, epoch, secret)) => {
                (self.connector, self.epoch) = (connector, epoch);
                self.credential.hold(secret);
                self.read_again = None;
                self.weighed = None;
                self.closings = Closings::new(&self.poll.calendar, self.poll.retention);
                Duration::ZERO
            }
            // The store is closed: the next step finds that, and waits.
            Err(_) => NO_ROOM_WAIT,
        }
    }

    fn has_room(&mut self, now: DateTime<Utc>) -> bool {
        let level = self.poll.outbox.level();
        if level.closed.is_some() {
            return false;
        }
        self.poll.health.clear(Condition::StoreFailed, "", now);
        // Reading goes on only when there is some room, else it would stop and go with every event that leaves.
        let full = level.is_full() || self.poll.health.facts().holds(Condition::OutboxFull) && level.percent() > 95;
        if full {
            let text = format!(
                "outbox: {} of {} bytes wait for HQ{}: reading has stopped, the point of sale keeps its history",
                level.queued_bytes,
                level.limit_bytes,
                if level.card_full { ", and the card is full" } else { "" }
            );
            self.poll.health.raise(Condition::OutboxFull, "", &text, now);
        } else {
            self.poll.health.clear(Condition::OutboxFull, "", now);
        }
        !full
    }

    /// Tells what is wrong with the clocks, if anything is.
    fn tell_clocks(&self, date: Option<DateTime<Utc>>, own: DateTime<Utc>) {
        let Poll { health, connection, .. } = &self.poll;
        let now = self.clocks.followed(own);
        let told = date.map(|date| (date - own).num_seconds());
        health.update_connection(connection, |connection| {
            let near = |known: i64| told.is_some_and(|told| (told - known).abs() <= CLOCK_STEP_S);
            if !connection.clock_difference_s.is_some_and(near) {
                connection.clock_difference_s = told;
            }
        });
        let (wrong, differs, unconfirmed) = match self.clocks.fault(own) {
            _ if now < earliest_now() => {
                let text = format!(
                    "the clock shows {}, which is before this program was made, and the point of sale tells no better: \
                     nothing is read; let the box reach a time server, or set its clock",
                    instant::text_utc(own)
                );
                (Some(text), None, None)
            }
            Some(Fault::Leapt(text)) => (Some(text), None, None),
            Some(Fault::Differ(text)) => (None, Some(text), None),
            Some(Fault::Unconfirmed(text)) => (None, None, Some(text)),
            None => (None, None, None),
        };
        health.set(Condition::ClockWrong, connection, wrong.as_deref(), now);
        health.set(Condition::ClockDiffers, connection, differs.as_deref(), now);
        health.set(Condition::ClockUnconfirmed, connection, unconfirmed.as_deref(), now);
    }

    /// The one thing that is wrong with the point of sale, or nothing.
    fn trouble(&self, trouble: Option<(Condition, &str)>, now: DateTime<Utc>) {
        for condition in [Condition::PosUnreachable, Condition::PosRefused, Condition::PosUnreadable] {
            let text = trouble.filter(|(held, _)| *held == condition).map(|(_, text)| text);
            self.poll.health.set(condition, &self.poll.connection, text, now);
        }
    }

    fn wait(&self, span: Duration) -> bool {
        if span.is_zero() { self.poll.stop.is_given() } else { self.poll.stop.wait(self.poll.clock.real(span)) }
    }
}

/// How far a source is read; while nothing is read without holes, where the reading began.
fn read_to(progress: &Progress) -> Option<DateTime<Utc>> {
    progress.watermark.or(progress.since)
}

/// No clock that shows an earlier instant is right: this program did not exist then.
fn earliest_now() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 1, 1, 0, 0, 0).single().unwrap_or_default()
}
