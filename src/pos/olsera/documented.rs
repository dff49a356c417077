//! Olsera by the API of the integrators' guide: `GET /merchant/info` and `GET /transactions`, with a key and a merchant.
//!
//! One request returns at most the newest 100 sales, and there is no window and no page. So that nothing was missed can
//! be shown only by overlap: two answers that have a sale in common are joined; a full answer without a known sale is a
//! proven gap.

pub mod connector;
mod cursor;
mod history;
mod list;
mod pace;
pub mod parse;
