//! The outbox, case by case.

mod aside;
mod damage;
mod keeping;
mod opening;
mod room;
