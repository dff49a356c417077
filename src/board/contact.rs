//! A printer's contact, such as `paper-end`: its level counts once it has been steady.

/// A contact that is open until its line has been closed for long enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Contact {
    counts: bool,
    /// The level that was seen last, and since when.
    seen: (bool, u64),
}

impl Contact {
    /// A level must be steady for this long before it counts.
    pub const STEADY_MS: u64 = 200;

    /// Takes in the level at a moment, in milliseconds since any fixed one; tells whether the contact is closed.
    pub fn see(&mut self, closed: bool, at_ms: u64) -> bool {
        if closed != self.seen.0 {
            self.seen = (closed, at_ms);
        } else if at_ms.saturating_sub(self.seen.1) >= Self::STEADY_MS {
            self.counts = closed;
        }
        self.counts
    }

    /// Whether it is closed, as far as that is certain.
    #[must_use]
    pub fn is_closed(self) -> bool {
        self.counts
    }

    /// Whether a level waits to count: it must be looked at soon.
    #[must_use]
    pub fn is_unsettled(self) -> bool {
        self.seen.0 != self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_that_bounces_does_not_count() {
        let mut contact = Contact::default();
        assert!(!contact.see(true, 1_000) && !contact.see(false, 1_100) && !contact.see(true, 1_150));
        assert!(contact.is_unsettled());
        assert!(!contact.see(true, 1_300) && contact.see(true, 1_350));
        assert!(!contact.is_unsettled());
        assert!(contact.see(false, 1_400) && !contact.see(false, 1_600));
    }
}
