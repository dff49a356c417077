//! The outbox, case by case.

mod aside;
mod damage;
mod keeping;
mod kept;
mod opening;
mod remembered;
mod room;
