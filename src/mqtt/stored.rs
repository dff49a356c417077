//! The word by which HQ lets the box forget.

use serde::Deserialize;

use crate::content::ContentId;

/// What HQ's feed says.
#[derive(Debug, Deserialize)]
pub(super) struct Stored {
    pub(super) stream: String,
    pub(super) through: u64,
    pub(super) chain: ContentId,
}
