//! Qasir (`https://api.qasir.id/v1`). No vendor's reference is public: the field names are those of an integrator's
//! guide, and what it does not say is not assumed.

pub mod connector;
pub mod parse;
pub mod windows;
