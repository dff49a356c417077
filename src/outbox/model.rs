//! The outbox against a model.
