//! Tillbox: every sale of a shop's point of sale reaches headquarters exactly as it was.
//!
//! In the order in which a sale meets them:
//!
//! - [`provision`] takes the config from the card's boot partition;
//! - [`config`] says what to read and where to send it;
//! - [`pos`] asks the point of sale and turns its answers into records, or into reasons why not;
//! - [`transaction`] is that record: exact amounts ([`amount`]), times with an offset ([`instant`], [`zone`]), a
//!   [`content`] id;
//! - [`poll`] drives one connector per connection and proves what is complete; what is not, is a [`gap`];
//! - [`outbox`] makes it durable as numbered events ([`event`]) before anyone may see them;
//! - [`closing`] sums up each business day; what a person ended [`by_hand`] proves none;
//! - [`forward`] decides what is published, and [`mqtt`] publishes it; a [`checkpoint`] lets the next box go on;
//! - [`health`] knows how the box is doing; [`signal`] shows it on lights ([`board`]), [`status`] tells it to HQ,
//!   and [`inspect`] answers whoever asks;
//! - whatever they tell of foreign text is [`plain`];
//! - [`overview`] is the box at a glance, for `tillbox status` and the [`page`] on the shop's network; what a shop reads
//!   stands in [`texts`];
//! - [`moving`] gives the box to another outlet, once what waits has left under the old name;
//! - [`daemon`] wires, supervises and stops all of it; the [`watchdog`] proves that it moves.
//!
//! The invariants, which no change may weaken:
//!
//! 1. A watermark moves only in the durable commit that stores the records it passed.
//! 2. Only what is durable leaves.
//! 3. An event is forgotten only after that very event was acknowledged, by HQ itself where the config says so.
//! 4. Every event has the next number of its stream; a store that lost its tail becomes a new stream.
//! 5. Events tell states, not movements: applying one again changes nothing.
//! 6. Events leave in order.
//! 7. Nothing is dropped: without room the box stops reading, and the source keeps its history.
//! 8. Nothing happens in silence.
//! 9. Money is exact decimal text, and time has an offset.
//! 10. Nothing is changed at the point of sale.
//! 11. Everything has a bound.
//! 12. Secrets are shown nowhere, and personal data stays in the outlet.

pub mod config;
pub mod pos;

pub mod amount;
pub mod arithmetic;
pub mod content;
pub mod instant;
pub mod numeral;
pub mod transaction;
pub mod zone;

pub mod by_hand;
pub mod gap;
pub mod notice;
pub mod poll;
pub mod progress;

pub mod closing;
pub mod event;
pub mod outbox;

pub mod checkpoint;
pub mod forward;
pub mod mqtt;

pub mod board;
pub mod health;
pub mod inspect;
pub mod overview;
pub mod page;
pub mod signal;
pub mod status;
pub mod texts;

pub mod authorize;
pub mod check;
pub mod clock;
pub mod daemon;
pub mod log;
pub mod moving;
pub mod plain;
pub mod provision;
pub mod secret;
pub mod stop;
pub mod tls;
pub mod watchdog;

#[cfg(feature = "demo")]
pub mod demo;
