//! A stretch of time that is being read, window by window, and what each answer proves of its window.
//!
//! An answer proves its window only if it is shorter than the limit, and shorter than the longest answer that this
//! server was seen to give: a server may cap its answers below the documented limit. A window that is not proven is
//! halved, down to a second. A second is asked between narrower and narrower bounds, because the wide ones, which hold
//! for exclusive bounds too, show its neighbours. What is still full then is a gap. A window whose answer cannot be read,
//! or does not come, is halved in the same way.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Timelike, Utc};

use super::windows::{Window, days};
use crate::zone::Zone;

/// Rows that one answer can hold: the documented `limit`.
pub const LIMIT_ROWS: usize = 100;

/// No server caps its answers below this.
const CAP_MIN_ROWS: usize = 10;

/// How far a row may lie outside of the bounds that were asked: fractions, and rounding.
const TOLERANCE: TimeDelta = TimeDelta::seconds(2);

/// Why a stretch of time is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Newest,
    Recent,
    CatchUp,
    Nightly,
    /// What lies after now.
    Ahead,
    Gap,
}

impl Purpose {
    /// Whether what was read before is read again, whole: what is missing then is gone.
    pub fn is_again(self) -> bool {
        matches!(self, Self::Recent | Self::Nightly)
    }
}

/// A stretch of time that is being read.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a finding of its own")]
pub struct Reading {
    pub purpose: Purpose,
    /// When it was planned.
    pub begun: DateTime<Utc>,
    /// The windows still to ask, the next one last.
    pub windows: Vec<Window>,
    /// What counts as read once every window was. `None`: each window counts at once.
    pub whole: Option<Window>,
    /// A window of it could not be proven.
    pub has_gap: bool,
    /// How much narrower than at first the last window is asked.
    bounds: Bounds,
    /// The server was asked for more rows than the last window held.
    cap_tested: bool,
    /// An answer of it could be read.
    was_readable: bool,
    /// The windows are local days, and no part of one can be asked.
    by_day: bool,
}

/// The bounds that are sent for a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bounds {
    /// From a second before its begin to its end: they hold the window whatever the server includes.
    Wide,
    /// A day around it: a longer answer shows that a shorter one was not cut off.
    Day,
    /// From its begin to its end: for servers that include the begin.
    Exact,
    /// From its begin to its begin: for servers that include both, and write no fractions. Of a second only.
    Instant,
}

impl Bounds {
    fn narrower(self) -> Option<Self> {
        match self {
            Self::Wide | Self::Day => Some(Self::Exact),
            Self::Exact => Some(Self::Instant),
            Self::Instant => None,
        }
    }
}

/// What an answer says of the window that was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Every row of the window is in it.
    Whole,
    /// Nothing is proven yet; there are more windows to ask, or other bounds.
    AskOn,
    /// The window cannot be proven.
    Gap,
}

/// What this server was seen to do, since the box asked it first or since last night.
#[derive(Debug, Clone, Default)]
pub struct Server {
    /// It means by its bounds what its records say; else a row at a bound says nothing.
    pub bounds_proven: bool,
    longest_rows: usize,
    /// The begin, and the end, of what is asked.
    includes: (bool, bool),
    writes_fractions: bool,
}

impl Reading {
    #[must_use]
    pub fn new(purpose: Purpose, begun: DateTime<Utc>, windows: Vec<Window>, whole: Option<Window>) -> Self {
        Self {
            purpose,
            begun,
            windows,
            whole,
            has_gap: false,
            bounds: Bounds::Wide,
            cap_tested: false,
            was_readable: false,
            by_day: false,
        }
    }

    /// A reading of local days, at a source whose filter looks at the day alone.
    #[must_use]
    pub fn of_days(purpose: Purpose, begun: DateTime<Utc>, days: Vec<Window>, whole: Window) -> Self {
        Self { by_day: true, ..Self::new(purpose, begun, days, Some(whole)) }
    }

    /// The next window, and the bounds to send for it.
    #[must_use]
    pub fn next(&self) -> Option<(Window, Window)> {
        let window = *self.windows.last()?;
        if self.by_day {
            return Some((window, Window { to: window.to - TimeDelta::seconds(1), ..window }));
        }
        let bounds = match self.bounds {
            Bounds::Wide => Window { from: window.from - TimeDelta::seconds(1), ..window },
            Bounds::Day => window.widened(TimeDelta::hours(12)),
            Bounds::Exact => window,
            Bounds::Instant => Window { to: window.from, ..window },
        };
        Some((window, bounds))
    }

    /// The answer to the next window cannot be read: its halves are asked, down to a second, and that between narrower
    /// and narrower bounds, as what spoils it may lie beside it. A second that stays so is a gap, once another answer shows
    /// that it is not the source that breaks off.
    pub fn spoilt(&mut self) -> Verdict {
        let Some((window, _)) = self.next() else { return Verdict::Whole };
        if let Some((left, right)) = window.halves().filter(|_| !self.by_day) {
            self.windows.pop();
            self.windows.extend([right, left]);
            self.bounds = Bounds::Wide;
            return Verdict::AskOn;
        }
        if let Some(narrower) = self.bounds.narrower().filter(|_| !self.by_day) {
            self.bounds = narrower;
            return Verdict::AskOn;
        }
        self.bounds = Bounds::Wide;
        let last = self.windows.len() - 1;
        if !self.was_readable && last > 0 {
            self.windows.swap(last, last - 1);
            return Verdict::AskOn;
        }
        (self.cap_tested, self.has_gap) = (false, true);
        self.windows.pop();
        Verdict::Gap
    }

    /// Judges the answer to the next window: `rows` elements, of which these times could be read.
    pub fn judge(&mut self, rows: usize, times: &[DateTime<Utc>], server: &mut Server) -> Verdict {
        let Some((window, asked)) = self.next() else { return Verdict::Whole };
        self.was_readable = true;
        if self.by_day {
            // Nothing narrower can be asked, and no longer answer shows whether a shorter one was cut off.
            let proven = rows < LIMIT_ROWS;
            self.windows.pop();
            self.has_gap |= !proven;
            return if proven { Verdict::Whole } else { Verdict::Gap };
        }
        let full = server.fills(rows);
        server.learn(rows, asked, times);
        if self.bounds == Bounds::Day {
            self.bounds = Bounds::Wide;
            return Verdict::AskOn;
        }
        if full && let Some((left, right)) = window.halves() {
            self.windows.pop();
            self.windows.extend([right, left]);
            return Verdict::AskOn;
        }
        if full && rows < LIMIT_ROWS && !std::mem::replace(&mut self.cap_tested, true) {
            self.bounds = Bounds::Day;
            return Verdict::AskOn;
        }
        let proven = !full
            && match self.bounds {
                Bounds::Wide | Bounds::Day => true,
                Bounds::Exact => server.includes.0,
                Bounds::Instant => server.includes == (true, true) && !server.writes_fractions,
            };
        if !proven && let Some(narrower) = self.bounds.narrower() {
            self.bounds = narrower;
            return Verdict::AskOn;
        }
        (self.bounds, self.cap_tested) = (Bounds::Wide, false);
        self.windows.pop();
        self.has_gap |= !proven;
        if proven { Verdict::Whole } else { Verdict::Gap }
    }
}

impl Server {
    /// The longest answer is to be found anew: the cap may have changed.
    pub fn forget(&mut self) {
        self.longest_rows = 0;
    }

    fn fills(&self, rows: usize) -> bool {
        rows >= LIMIT_ROWS || rows >= CAP_MIN_ROWS.max(self.longest_rows)
    }

    fn learn(&mut self, rows: usize, asked: Window, times: &[DateTime<Utc>]) {
        self.longest_rows = self.longest_rows.max(rows);
        let shown = (times.contains(&asked.from), times.contains(&asked.to));
        let (from, to) = self.includes;
        self.includes = (self.bounds_proven && (from || shown.0), self.bounds_proven && (to || shown.1));
        self.writes_fractions |= times.iter().any(|at| at.nanosecond() > 0);
    }
}

/// Whether a server that gives rows of these times for these bounds looks at the bounds at all. While its zone is not
/// proven all rows may be shifted, but only by the same span, and by `slack` at most.
#[must_use]
pub fn honoured(asked: Window, times: &[DateTime<Utc>], slack: TimeDelta) -> bool {
    let (Some(first), Some(last)) = (times.iter().min(), times.iter().max()) else { return true };
    let room = slack + TOLERANCE;
    *last - *first <= asked.to - asked.from + TOLERANCE && asked.holds(*first, room) && asked.holds(*last, room)
}

/// Whether a server that gives rows of these times for these bounds may look at their days alone: more lie beside the
/// bounds than another zone explains, and all of them within the days that the bounds touch.
#[must_use]
pub fn honoured_by_day(asked: Window, times: &[DateTime<Utc>], zone: &Zone) -> bool {
    let days = days(asked, zone);
    let (Some(last), Some(first)) = (days.first(), days.last()) else { return false };
    let (Some(newest), Some(oldest)) = (times.iter().max(), times.iter().min()) else { return false };
    *newest - *oldest > asked.to - asked.from + TOLERANCE && first.from <= *oldest && *newest < last.to
}

/// The whole seconds that hold these times.
#[must_use]
pub fn hull(times: &[DateTime<Utc>]) -> Option<Window> {
    let seconds: BTreeSet<_> = times.iter().filter_map(|at| at.with_nanosecond(0)).collect();
    Some(Window { from: *seconds.first()?, to: *seconds.last()? + TimeDelta::seconds(1) })
}
