//! What the tests are made of.

pub mod broker;
pub mod certificates;
pub mod commanded;
pub mod hq;
pub mod nats;
pub mod rabbitmq;
pub mod record;
pub mod scene;
pub mod shop;
pub mod stage;
pub mod tillbox;
pub mod wait;
