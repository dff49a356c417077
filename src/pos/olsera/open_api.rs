//! Olsera by the API that public clients use ("open API"): a token, orders by local day and page, and each order's
//! details.
//!
//! No document of the vendor's promises it; the facts are what unrelated public programs show.

pub mod connector;
mod cursor;
mod day;
pub mod parse;
mod session;
