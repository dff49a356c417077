//! The outbox, case by case.

mod aside;
mod damage;
mod identity;
mod keeping;
mod opening;
mod room;
