//! Who is logged in, whose shop it is, and how its payment methods are called.

use chrono::{DateTime, TimeDelta, Utc};

use super::{order::Methods, parse::Me, requests};
use crate::pos::request::Request;

/// A role that does not fit is asked for again after this …
const UNFIT_WAIT: TimeDelta = TimeDelta::minutes(5);

/// … and one that fits after this: a manager who was made a cashier would see less without a word.
const FIT_WAIT: TimeDelta = TimeDelta::hours(1);

/// Payment methods are read again no more often than this, however many unknown ones show up.
const METHODS_WAIT: TimeDelta = TimeDelta::minutes(10);

/// What is asked of the shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShopAsk {
    Me,
    Branding,
    Methods,
}

/// What is known of it.
#[derive(Debug)]
pub struct Shop {
    me: Option<Me>,
    me_due: DateTime<Utc>,
    name: Option<String>,
    name_is_read: bool,
    methods: Option<Methods>,
    methods_stale: bool,
    methods_read: Option<DateTime<Utc>>,
}

impl Shop {
    pub fn new(now: DateTime<Utc>) -> Self {
        Self {
            me: None,
            me_due: now,
            name: None,
            name_is_read: false,
            methods: None,
            methods_stale: false,
            methods_read: None,
        }
    }

    /// What is to be asked before any order.
    ///
    /// # Errors
    /// The role does not fit, and is not asked for before this instant.
    pub fn due(&self, now: DateTime<Utc>) -> Result<Option<ShopAsk>, DateTime<Utc>> {
        if now >= self.me_due || self.me.is_none() {
            return Ok(Some(ShopAsk::Me));
        }
        if !self.fits() {
            return Err(self.me_due);
        }
        if !self.name_is_read {
            return Ok(Some(ShopAsk::Branding));
        }
        Ok((self.methods.is_none() || self.methods_stale).then_some(ShopAsk::Methods))
    }

    pub fn request(ask: ShopAsk) -> Request {
        match ask {
            ShopAsk::Me => requests::me(),
            ShopAsk::Branding => requests::branding(),
            ShopAsk::Methods => requests::payment_methods(),
        }
    }

    /// Takes who is logged in. `Some`: a line for a person, as the role sees too little.
    pub fn take_me(&mut self, me: Me, now: DateTime<Utc>) -> Option<String> {
        self.me = Some(me);
        self.me_due = now + if self.fits() { FIT_WAIT } else { UNFIT_WAIT };
        let text = "pos-kasir GET /auth/me: expected a user of role manager or admin, found one of another role, who \
                    sees only their own orders: give the box a user of its own with role manager";
        (!self.fits()).then(|| text.to_owned())
    }

    /// There is a new session: perhaps of another role.
    pub fn check_again(&mut self, now: DateTime<Utc>) {
        self.me_due = now;
    }

    pub fn take_branding(&mut self, name: Option<String>) {
        (self.name, self.name_is_read) = (name, true);
    }

    pub fn take_methods(&mut self, methods: Methods, now: DateTime<Utc>) {
        (self.methods, self.methods_stale, self.methods_read) = (Some(methods), false, Some(now));
    }

    /// An order names a method that is not known: whether they are read again before it is taken.
    pub fn methods_are_stale(&mut self, now: DateTime<Utc>) -> bool {
        self.methods_stale = self.methods_read.is_none_or(|read| now - read >= METHODS_WAIT);
        self.methods_stale
    }

    /// The names of the payment methods.
    pub fn methods(&self) -> Methods {
        self.methods.clone().unwrap_or_default()
    }

    /// The shop's name.
    pub fn name(&self) -> Option<String> {
        self.name.clone()
    }

    /// Whose user is logged in: the source knows no id of the shop.
    pub fn account(&self) -> Option<Vec<String>> {
        let me = self.me.as_ref().filter(|_| self.fits())?;
        Some(me.id.iter().map(|id| format!("user:{id}")).collect())
    }

    pub fn is_admin(&self) -> bool {
        self.me.as_ref().is_some_and(|me| me.role == "admin")
    }

    fn fits(&self) -> bool {
        self.me.as_ref().is_some_and(|me| matches!(me.role.as_str(), "manager" | "admin"))
    }

    /// What a technician should know of the role.
    pub fn note(&self) -> Option<&'static str> {
        match self.me.as_ref()?.role.as_str() {
            "admin" => Some("role admin fits: all orders are seen, and the activity log tells of refunds"),
            "manager" => {
                Some("role manager fits: all orders are seen; a refund within one poll of its sale shows as void")
            }
            _ => None,
        }
    }
}
