//! Asalta (`https://api.asalta.com`), Inventory & POS, by the vendor's reference. Where its samples disagree with each
//! other or with its words, every reading is taken.

pub mod connector;
mod cursor;
mod lists;
mod paging;
pub mod parse;
mod report;
mod requests;
mod spoilt;
#[cfg(all(test, feature = "demo"))]
#[expect(clippy::unwrap_used, reason = "a test stops where its stage cannot be set")]
mod tests;
mod walk;
