//! The outbox, case by case.
