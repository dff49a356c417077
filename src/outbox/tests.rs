//! The outbox, case by case.

mod aside;
mod by_hand;
mod damage;
mod identity;
mod keeping;
mod kept;
mod opening;
mod remembered;
mod room;
