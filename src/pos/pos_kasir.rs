//! POS Kasir, a point of sale that each shop hosts itself (`http(s)://<host>:8080/api/v1`).
//!
//! Its overview page and its server differ: the session is a cookie, the limit is shared with the tills, and a refund
//! leaves no record but an order that lost its payment. What stands here follows the server.
//!
//! - `session`: login, refresh, and when to ask a person instead.
//! - `parse` and `order`: bodies to records of what one answer alone says.
//! - `states`: what an order means beside what it was before: sale, refund, void.
//! - `walk`: one reading of the list, newest first, with the details that it asks for.
//! - `connector`: which walk is due, and what it proves.

pub mod connector;
mod cursor;
pub mod order;
pub mod parse;
mod requests;
mod session;
mod shop;
mod states;
#[cfg(all(test, feature = "demo"))]
#[expect(clippy::unwrap_used, reason = "a test stops where its stage cannot be set")]
mod tests;
mod walk;
