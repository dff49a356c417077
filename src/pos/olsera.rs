//! Olsera, by either of its APIs: which of them a shop's credentials belong to, the config says.
//!
//! - [`documented`]: the API of the integrators' guide. A key and a merchant; one list of the newest 100 sales.
//! - [`open_api`]: the API that public clients use. A token; orders by day and page, and each order's details.
//!
//! Neither shows refunds: goods that came back stay in their sale.

pub mod documented;
pub mod open_api;
pub mod requests;
#[cfg(test)]
#[cfg(feature = "demo")]
mod tests;

/// Told of both APIs.
const NO_REFUNDS: &str = "refunds are not available from this source";
