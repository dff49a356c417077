//! The outbox, case by case.

mod damage;
mod keeping;
mod opening;
mod room;
